{{/*
Where each workload that can run declares its nodeSelector: JSON of {workload: nodeSelector}.
The subcharts have their own keys; every other workload is a component of the demo chart.
*/}}
{{- define "otel-demo.declared-node-selectors" -}}
{{- $demo := index .Values "opentelemetry-demo" -}}
{{- $declared := dict -}}
{{- range $name, $component := $demo.components -}}
{{- if dig "enabled" true $component -}}
{{- $_ := set $declared $name (dig "schedulingRules" "nodeSelector" dict $component | default dict) -}}
{{- end -}}
{{- end -}}
{{- if dig "grafana" "enabled" true $demo -}}
{{- $_ := set $declared "grafana" (dig "grafana" "nodeSelector" dict $demo | default dict) -}}
{{- end -}}
{{- if dig "jaeger" "enabled" true $demo -}}
{{- $_ := set $declared "jaeger" (dig "nodeSelector" dict (get $demo.jaeger "jaeger" | default (get $demo.jaeger "allInOne") | default dict) | default dict) -}}
{{- end -}}
{{- if dig "opensearch" "enabled" true $demo -}}
{{- $_ := set $declared "opensearch" (dig "opensearch" "nodeSelector" dict $demo | default dict) -}}
{{- end -}}
{{- if dig "opentelemetry-collector" "enabled" true $demo -}}
{{- $_ := set $declared "otel-collector" (dig "opentelemetry-collector" "nodeSelector" dict $demo | default dict) -}}
{{- end -}}
{{- if dig "prometheus" "enabled" true $demo -}}
{{- $_ := set $declared "prometheus" (dig "prometheus" "server" "nodeSelector" dict $demo | default dict) -}}
{{- end -}}
{{- toJson $declared -}}
{{- end -}}

{{/*
Refuses a list of databases that disagrees with what is declared. A declared selector other than the placement would win
over the hook: self-heal puts it back, and the hook does not run on a self-heal.
*/}}
{{- define "otel-demo.check-stateful" -}}
{{- $declared := include "otel-demo.declared-node-selectors" . | fromJson -}}
{{- $listed := list -}}
{{- range .Values.stateful -}}
{{- if has .name $listed -}}
{{- fail (printf "stateful: %s is listed twice. List each workload once." .name) -}}
{{- end -}}
{{- $listed = append $listed .name -}}
{{- if not (hasKey $declared .name) -}}
{{- fail (printf "stateful: %s/%s is listed, but opentelemetry-demo runs no such workload. Remove it from the list, or enable it." .kind .name) -}}
{{- end -}}
{{- $kind := eq .name "opensearch" | ternary "StatefulSet" "Deployment" -}}
{{- if ne .kind $kind -}}
{{- fail (printf "stateful: %s/%s is listed, but it is a %s: the hook would patch nothing. Correct its kind." .kind .name $kind) -}}
{{- end -}}
{{- end -}}
{{- $placement := toJson .Values.placement.nodeSelector -}}
{{- range $name, $selector := $declared -}}
{{- if $selector -}}
{{- if not (has $name $listed) -}}
{{- fail (printf "stateful: %s declares nodeSelector %s but is not listed. Add it to `stateful`, or remove the nodeSelector: Spot is the default of the pool and needs none." $name (toJson $selector)) -}}
{{- end -}}
{{- if ne (toJson $selector) $placement -}}
{{- fail (printf "opentelemetry-demo: %s is in `stateful` and declares nodeSelector %s; only `placement.nodeSelector` %s is allowed there. Use that one, or declare none and let the hook place it." $name (toJson $selector) $placement) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

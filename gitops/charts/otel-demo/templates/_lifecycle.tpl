{{/*
What a workload's pods get that the demo chart's schema has no key for, as a JSON patch (RFC 6902). `add` writes a value
whole, whether it is there or not. The component's own container is the first of its pod, in every chart version.
A probe that a chart with the key (0.40 and newer) declares is left alone: Git owns it. A database has one pod: nothing to
spread, and nobody to hand over to. Arguments: root context, workload.
*/}}
{{- define "otel-demo.lifecycle-patch" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $lifecycle := $root.Values.podLifecycle -}}
{{- $component := dig "components" $name dict (index $root.Values "opentelemetry-demo") -}}
{{- $database := false -}}
{{- range $root.Values.stateful -}}{{- if eq .name $name -}}{{- $database = true -}}{{- end -}}{{- end -}}
{{- $pod := "/spec/template/spec" -}}
{{- $patch := list (dict "op" "add" "path" (print $pod "/terminationGracePeriodSeconds") "value" $lifecycle.terminationGracePeriodSeconds) -}}
{{- $handler := get $lifecycle.workloads $name -}}
{{- if and $handler (not $component.readinessProbe) -}}
{{- $probe := mergeOverwrite (deepCopy $lifecycle.readiness) $handler -}}
{{- $patch = append $patch (dict "op" "add" "path" (print $pod "/containers/0/readinessProbe") "value" $probe) -}}
{{- end -}}
{{- if not $database -}}
{{- $sleep := dict "preStop" (dict "sleep" (dict "seconds" $lifecycle.preStopSleepSeconds)) -}}
{{- $patch = append $patch (dict "op" "add" "path" (print $pod "/containers/0/lifecycle") "value" $sleep) -}}
{{- if $component -}}
{{- $patch = append $patch (dict "op" "add" "path" (print $pod "/topologySpreadConstraints") "value" $lifecycle.topologySpreadConstraints) -}}
{{- end -}}
{{- end -}}
{{- toJson $patch -}}
{{- end -}}

{{/*
Workloads by patch: JSON of {patch: [workload, ...]}. A workload that is not enabled is left out.
*/}}
{{- define "otel-demo.lifecycle-groups" -}}
{{- $root := . -}}
{{- $running := include "otel-demo.declared-node-selectors" . | fromJson -}}
{{- $groups := dict -}}
{{- $components := dig "components" dict (index .Values "opentelemetry-demo") -}}
{{- range $name := keys .Values.podLifecycle.workloads | sortAlpha -}}
{{- if not (or (hasKey $components $name) (eq $name "jaeger")) -}}
{{- fail (printf "podLifecycle: %s is neither a component of opentelemetry-demo nor jaeger. Correct its name; the other subcharts have keys of their own." $name) -}}
{{- end -}}
{{- if hasKey $running $name -}}
{{- $patch := include "otel-demo.lifecycle-patch" (list $root $name) -}}
{{- $_ := set $groups $patch (append (get $groups $patch | default list) $name) -}}
{{- end -}}
{{- end -}}
{{- toJson $groups -}}
{{- end -}}

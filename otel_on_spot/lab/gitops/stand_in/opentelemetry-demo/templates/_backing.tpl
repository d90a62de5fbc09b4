{{/*
What the subcharts of the demo bring, as facts: one entry per workload. `given` are the values of its subchart that decide
where it runs and how large it is; `probe` its readiness probe; `names` the label app.kubernetes.io/name and what it is selected by.
*/}}
{{- define "stand-in.backing" -}}
{{- $values := .Values -}}
{{- $instance := dict "app.kubernetes.io/instance" .Release.Name -}}
{{- $all := dict -}}
{{- if $values.grafana.enabled -}}
{{- $selector := merge (dict "app.kubernetes.io/name" "grafana") $instance -}}
{{- $_ := set $all "grafana" (dict "kind" "Deployment" "image" "docker.io/grafana/grafana:12.2.0" "given" $values.grafana "selector" $selector
  "labels" (dict "helm.sh/chart" "grafana-10.1.2" "app.kubernetes.io/version" "12.2.0") "container" "grafana" "account" "grafana"
  "probe" (dict "httpGet" (dict "path" "/api/health" "port" 3000))
  "pod" (dict "fsGroup" 472 "runAsGroup" 472 "runAsNonRoot" true "runAsUser" 472) "security" "containerSecurityContext"
  "ports" (list (dict "name" "grafana" "value" 3000 "protocol" "TCP") (dict "name" "gossip-tcp" "value" 9094 "protocol" "TCP") (dict "name" "gossip-udp" "value" 9094 "protocol" "UDP") (dict "name" "profiling" "value" 6060 "protocol" "TCP"))) -}}
{{- end -}}
{{- if $values.jaeger.enabled -}}
{{- $selector := merge (dict "app.kubernetes.io/name" "jaeger" "app.kubernetes.io/component" "all-in-one") $instance -}}
{{- $ports := list -}}
{{- range list 5775 6831 6832 -}}{{- $ports = append $ports (dict "value" . "protocol" "UDP") -}}{{- end -}}
{{- range list 5778 16686 16685 9411 4317 4318 -}}{{- $ports = append $ports (dict "value" . "protocol" "TCP") -}}{{- end -}}
{{- $_ := set $all "jaeger" (dict "kind" "Deployment" "image" "jaegertracing/all-in-one:1.53.0" "given" $values.jaeger.allInOne "selector" $selector
  "labels" dict "container" "jaeger" "account" "jaeger" "probe" (dict "httpGet" (dict "path" "/" "port" 14269)) "pod" (dict "fsGroup" 10001) "security" "securityContext" "ports" $ports) -}}
{{- end -}}
{{- $collector := index $values "opentelemetry-collector" -}}
{{- if $collector.enabled -}}
{{- $selector := merge (dict "app.kubernetes.io/name" "opentelemetry-collector" "component" "standalone-collector") $instance -}}
{{- $ports := list (dict "name" "jaeger-compact" "value" 6831 "protocol" "UDP") -}}
{{- range $name, $port := dict "jaeger-grpc" 14250 "jaeger-thrift" 14268 "metrics" 8888 "otlp" 4317 "otlp-http" 4318 "zipkin" 9411 -}}
{{- $ports = append $ports (dict "name" $name "value" $port "protocol" "TCP") -}}
{{- end -}}
{{- $_ := set $all "otel-collector" (dict "kind" "Deployment" "image" "otel/opentelemetry-collector-contrib:0.135.0" "given" $collector "selector" $selector
  "labels" dict "container" "opentelemetry-collector" "account" "otel-collector" "probe" (dict "httpGet" (dict "path" "/" "port" 13133)) "security" "securityContext" "ports" $ports) -}}
{{- end -}}
{{- if $values.prometheus.enabled -}}
{{- $selector := merge (dict "app.kubernetes.io/name" "prometheus" "app.kubernetes.io/component" "server") $instance -}}
{{- $_ := set $all "prometheus" (dict "kind" "Deployment" "image" "quay.io/prometheus/prometheus:v3.6.0" "given" $values.prometheus.server "selector" $selector
  "labels" (dict "helm.sh/chart" "prometheus-27.39.0" "app.kubernetes.io/version" "v3.6.0" "app.kubernetes.io/part-of" "prometheus")
  "container" "prometheus-server" "account" "prometheus" "probe" (dict "httpGet" (dict "path" "/-/ready" "port" 9090)) "pod" (dict "fsGroup" 65534 "runAsGroup" 65534 "runAsNonRoot" true "runAsUser" 65534)
  "security" "containerSecurityContext" "ports" (list (dict "value" 9090))) -}}
{{- end -}}
{{- if $values.opensearch.enabled -}}
{{- $selector := merge (dict "app.kubernetes.io/name" "opensearch") $instance -}}
{{- $_ := set $all "opensearch" (dict "kind" "StatefulSet" "image" "opensearchproject/opensearch:3.2.0" "given" $values.opensearch "selector" $selector
  "labels" (dict "helm.sh/chart" "opensearch-3.2.1" "app.kubernetes.io/version" "3.2.0" "app.kubernetes.io/managed-by" .Release.Service "app.kubernetes.io/component" "opensearch")
  "container" "opensearch" "account" "" "probe" (dict "tcpSocket" (dict "port" 9200)) "pod" (dict "fsGroup" 1000 "runAsUser" 1000) "security" "securityContext"
  "affinity" (include "stand-in.apart" (list "opensearch" .Release.Name) | fromJson)
  "ports" (list (dict "name" "http" "value" 9200) (dict "name" "transport" "value" 9300) (dict "name" "metrics" "value" 9600))) -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{/*
Grafana's sidecars: {initContainers, containers}. A sidecar that loads before the start and never reloads is only an init container.
*/}}
{{- define "stand-in.grafana-sidecars" -}}
{{- $image := "quay.io/kiwigrid/k8s-sidecar:1.30.10" -}}
{{- $init := list -}}
{{- $containers := list -}}
{{- $sidecar := .sidecar -}}
{{- $given := dict "resources" $sidecar.resources "securityContext" ($sidecar.securityContext | default (include "stand-in.restricted" . | fromJson)) -}}
{{- range $name, $key := dict "alerts" "initAlerts" "dashboard" "initDashboards" "datasources" "initDatasources" -}}
{{- $settings := get $sidecar (eq $name "dashboard" | ternary "dashboards" $name) -}}
{{- if $settings.enabled -}}
{{- $first := get $settings $key | default false -}}
{{- if $first -}}
{{- $init = append $init (include "stand-in.container" (list (printf "grafana-init-sc-%s" $name) $image $given list) | fromJson) -}}
{{- end -}}
{{- if not (and $first $settings.skipReload) -}}
{{- $containers = append $containers (include "stand-in.container" (list (printf "grafana-sc-%s" $name) $image $given list) | fromJson) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "initContainers" $init "containers" $containers | toJson -}}
{{- end -}}

{{/* A wish to run apart from the other replicas of the same workload. Arguments: name, instance. */}}
{{- define "stand-in.apart" -}}
{{- $name := dict "key" "app.kubernetes.io/name" "operator" "In" "values" (list (index . 0)) -}}
{{- $instance := dict "key" "app.kubernetes.io/instance" "operator" "In" "values" (list (index . 1)) -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchExpressions" (list $instance $name)) -}}
{{- dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 1 "podAffinityTerm" $term))) | toJson -}}
{{- end -}}

{{/* What Grafana and its sidecars get where the values give nothing. */}}
{{- define "stand-in.restricted" -}}
{{- dict "allowPrivilegeEscalation" false "capabilities" (dict "drop" (list "ALL")) "seccompProfile" (dict "type" "RuntimeDefault") | toJson -}}
{{- end -}}

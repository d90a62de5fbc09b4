{{/*
The labels that select a workload's pods. Arguments: networkPolicy values, workload.
*/}}
{{- define "otel-demo.pod-labels" -}}
{{- $policy := index . 0 -}}
{{- $name := index . 1 -}}
{{- get $policy.podLabels $name | default (dict "opentelemetry.io/name" $name) | toYaml -}}
{{- end -}}

{{/*
The egress rule towards the Kubernetes API. Argument: networkPolicy values.
*/}}
{{- define "otel-demo.api-server-egress" -}}
- to:
    {{- range .apiServer.cidrs }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  ports:
    - {port: {{ .apiServer.port }}, protocol: TCP}
{{- end -}}

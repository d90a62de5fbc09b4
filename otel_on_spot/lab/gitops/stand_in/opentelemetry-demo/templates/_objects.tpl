{{/*
A component's Deployment, under the name and with the argument that the demo chart's own template has: the component's
values, with name, Chart, Release, serviceAccount and defaultValues beside them. The wrapper makes another one with it.
Source: templates/_objects.tpl and component.yaml of opentelemetry-demo 0.38.6.
*/}}
{{- define "otel-demo.deployment" -}}
{{- $defaults := .defaultValues -}}
{{- $image := $defaults.image -}}
{{- $tag := $image.tag | default .Chart.AppVersion -}}
{{- $selector := dict "opentelemetry.io/name" .name -}}
{{- $override := .imageOverride | default dict -}}
{{- $own := printf "%s:%s" ($override.repository | default $image.repository) ($override.tag | default (printf "%s-%s" $tag .name)) -}}
{{- $ports := list -}}
{{- range .ports -}}
{{- $ports = append $ports (dict "name" .name "value" .value) -}}
{{- end -}}
{{- with .service -}}
{{- if .port -}}
{{- $ports = append $ports (dict "name" "service" "value" .port) -}}
{{- end -}}
{{- end -}}
{{- $mounts := .additionalVolumeMounts | default list -}}
{{- $volumes := .additionalVolumes | default list -}}
{{- range .mountedEmptyDirs -}}
{{- $mounts = append $mounts (dict "name" .name "mountPath" .mountPath) -}}
{{- $volumes = append $volumes (dict "name" .name "emptyDir" dict) -}}
{{- end -}}
{{- range .mountedConfigMaps -}}
{{- $mounts = append $mounts (dict "name" .name "mountPath" .mountPath) -}}
{{- $volumes = append $volumes (dict "name" .name "configMap" (dict "name" (.existingConfigMap | default (printf "%s-%s" $.name .name)) "optional" true)) -}}
{{- end -}}
{{- $security := .securityContext | default $defaults.securityContext -}}
{{- $main := dict "resources" .resources "securityContext" $security "command" .command "env" .env "volumeMounts" $mounts -}}
{{- $containers := list (include "stand-in.container" (list .name $own $main $ports) | fromJson) -}}
{{- range .sidecarContainers -}}
{{- $sidecarPorts := list -}}
{{- with .service -}}
{{- $sidecarPorts = append $sidecarPorts (dict "name" "service" "value" .port) -}}
{{- end -}}
{{- $sidecarImage := .image | default (printf "%s:%s-%s" $image.repository $tag .name) -}}
{{- $containers = append $containers (include "stand-in.container" (list .name $sidecarImage . $sidecarPorts) | fromJson) -}}
{{- end }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- toYaml $selector | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
    app.kubernetes.io/name: {{ .name }}
    {{- include "stand-in.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas | default $defaults.replicas }}
  revisionHistoryLimit: {{ .revisionHistoryLimit | default $defaults.revisionHistoryLimit }}
  selector:
    matchLabels: {{ toJson $selector }}
  template:
    metadata:
      labels: {{ merge (dict "app.kubernetes.io/component" .name "app.kubernetes.io/name" .name) $selector | toJson }}
      {{- with .podAnnotations }}
      annotations: {{ toJson . }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "stand-in.service-account" (dict "Values" (dict "serviceAccount" .serviceAccount) "Release" .Release) }}
      {{- with .podSecurityContext | default $defaults.podSecurityContext }}
      securityContext: {{ toJson . }}
      {{- end }}
      {{- include "stand-in.placement" (include "stand-in.scheduling-rules" (list $defaults.schedulingRules .schedulingRules) | fromJson) | indent 6 }}
      {{- with .initContainers }}
      initContainers: {{ toJson . }}
      {{- end }}
      containers: {{ toJson $containers }}
      {{- with $volumes }}
      volumes: {{ toJson . }}
      {{- end }}
{{- end -}}

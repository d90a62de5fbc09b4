{{/* Labels that say what this is. Argument: the root context. */}}
{{- define "stand-in.labels" -}}
app.kubernetes.io/part-of: opentelemetry-demo
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "stand-in.service-account" -}}
{{- .Values.serviceAccount.name | default (ternary .Release.Name "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* What decides where a pod runs. Argument: a map that may have nodeSelector, tolerations, affinity, priorityClassName. */}}
{{- define "stand-in.placement" -}}
{{- range $field := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with get $ $field }}
{{ $field }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A component's rules over the defaults, key by key; an empty value does not replace. Arguments: defaults, rules. */}}
{{- define "stand-in.scheduling-rules" -}}
{{- $defaults := index . 0 | default dict -}}
{{- $own := index . 1 | default dict -}}
{{- $rules := dict -}}
{{- range $field := list "nodeSelector" "tolerations" "affinity" -}}
{{- with get $own $field | default (get $defaults $field) -}}
{{- $_ := set $rules $field . -}}
{{- end -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}

{{/*
A container as JSON. Arguments: name, image, given (a map with resources, securityContext, command, env, volumeMounts),
ports (a list of {name, value, protocol}).
*/}}
{{- define "stand-in.container" -}}
{{- $name := index . 0 -}}
{{- $given := index . 2 -}}
{{- $container := dict "name" $name "image" (index . 1) -}}
{{- range $field := list "resources" "securityContext" "command" "env" "volumeMounts" -}}
{{- with get $given $field -}}
{{- $_ := set $container $field . -}}
{{- end -}}
{{- end -}}
{{- $ports := list -}}
{{- range index . 3 -}}
{{- $port := dict "containerPort" .value -}}
{{- with .name -}}{{- $_ := set $port "name" . -}}{{- end -}}
{{- with .protocol -}}{{- $_ := set $port "protocol" . -}}{{- end -}}
{{- $ports = append $ports $port -}}
{{- end -}}
{{- if $ports -}}
{{- $_ := set $container "ports" $ports -}}
{{- end -}}
{{- toJson $container -}}
{{- end -}}

{{/*
Refuses a password of the demo chart's beside the Secret's: a list in the stack file's own values replaces the program's.
*/}}
{{- define "otel-demo.check-passwords" -}}
{{- $demo := index .Values "opentelemetry-demo" -}}
{{- $secret := .Values.passwords.secretName -}}
{{- range $name, $component := $demo.components -}}
{{- if and $secret (dig "enabled" true $component) -}}
{{- $given := dict -}}
{{- range concat (dig "default" "env" list $demo) (dig "default" "envOverrides" list $demo) ($component.env | default list) ($component.envOverrides | default list) -}}
{{- $_ := set $given .name . -}}
{{- end -}}
{{- if hasKey $given "DB_CONNECTION_STRING" -}}
{{- if regexMatch "(?i)(password|pwd|psw) *=|://[^@/]*:" ($given.DB_CONNECTION_STRING.value | default "") -}}
{{- fail (printf "opentelemetry-demo.components.%s: DB_CONNECTION_STRING has a password in it, and %s holds the one that counts. Write the string without it in envOverrides; a list of your own replaces the program's." $name $secret) -}}
{{- end -}}
{{- if not (hasKey $given "PGPASSWORD") -}}
{{- fail (printf "opentelemetry-demo.components.%s.envOverrides: PGPASSWORD is missing, which has the password of DB_CONNECTION_STRING. Take it from the Secret %s; a list of your own replaces the program's." $name $secret) -}}
{{- end -}}
{{- end -}}
{{- range $variable := list "PGPASSWORD" "POSTGRES_PASSWORD" -}}
{{- if and (hasKey $given $variable) (ne $secret (dig "valueFrom" "secretKeyRef" "name" "" (get $given $variable))) -}}
{{- fail (printf "opentelemetry-demo.components.%s: %s is not from the Secret %s. Take it from there in envOverrides; a list of your own replaces the program's." $name $variable $secret) -}}
{{- end -}}
{{- end -}}
{{- include "otel-demo.check-variables" (list (printf "components.%s" $name) $given) -}}
{{- if and (hasKey $given "POSTGRES_PASSWORD") (not (contains "ALTER ROLE" (join " " ($component.command | default list)))) -}}
{{- fail (printf "opentelemetry-demo.components.%s.command: it does not give the roles the passwords of the Secret %s, so what connects is refused. Leave the program's." $name $secret) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $secret -}}
{{- $collector := index $demo "opentelemetry-collector" -}}
{{- $variables := dict -}}
{{- range $collector.extraEnvs | default list -}}
{{- $_ := set $variables .name . -}}
{{- end -}}
{{- if dig "enabled" true $collector -}}
{{- if ne $secret (dig "POSTGRESQL_PASSWORD" "valueFrom" "secretKeyRef" "name" "" $variables) -}}
{{- fail (printf "opentelemetry-demo.opentelemetry-collector.extraEnvs: POSTGRESQL_PASSWORD is missing or not from the Secret %s, and the receiver of PostgreSQL reads it. Take it from there; a list of your own replaces the program's." $secret) -}}
{{- end -}}
{{- include "otel-demo.check-variables" (list "opentelemetry-collector.extraEnvs" $variables) -}}
{{- range $receiver, $config := dig "config" "receivers" dict $collector -}}
{{- $password := "" -}}
{{- if kindIs "map" $config -}}
{{- $password = get $config "password" | toString -}}
{{- end -}}
{{- if and $password (not (hasPrefix "${env:" $password)) -}}
{{- fail (printf "opentelemetry-demo.opentelemetry-collector.config.receivers.%s.password: it would be in a ConfigMap, in plain text. Write ${env:NAME}, and take NAME from a Secret in extraEnvs." $receiver) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if dig "grafana" "enabled" true $demo -}}
{{- if ne $secret (dig "grafana" "admin" "existingSecret" "" $demo) -}}
{{- fail (printf "opentelemetry-demo.grafana.admin.existingSecret: it is not %s, so its chart would make a Secret with a password that the whole world knows, or read another one. Leave the program's." $secret) -}}
{{- end -}}
{{- $own := dict -}}
{{- range $name, $value := dig "grafana" "env" dict $demo -}}
{{- $_ := set $own $name (dict "value" $value) -}}
{{- end -}}
{{- include "otel-demo.check-variables" (list "grafana.env" $own) -}}
{{- if dig "grafana" "grafana.ini" "security" "admin_password" "" $demo -}}
{{- fail (printf "opentelemetry-demo.grafana.grafana.ini.security.admin_password: it would be in a ConfigMap, in plain text. Leave it out: %s has the one that counts." $secret) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Refuses a password that stands in values, and so in Git, in the Application and in the pod. Arguments: where, variables
by name.
*/}}
{{- define "otel-demo.check-variables" -}}
{{- $where := first . -}}
{{- range $name, $variable := last . -}}
{{- if and (regexMatch "(?i)passw(or)?d$" $name) $variable.value (not (hasPrefix "$(" (toString $variable.value))) -}}
{{- fail (printf "opentelemetry-demo.%s: %s is in plain text. Take it from a Secret: valueFrom.secretKeyRef." $where $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

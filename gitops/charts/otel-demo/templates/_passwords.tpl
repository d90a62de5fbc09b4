{{/*
Refuses a password of the demo chart's beside the Secret's: a list in the stack file's own values replaces the program's.
*/}}
{{- define "otel-demo.check-passwords" -}}
{{- $demo := index .Values "opentelemetry-demo" -}}
{{- $secret := .Values.passwords.secretName -}}
{{- range $name, $component := $demo.components -}}
{{- if and $secret (dig "enabled" true $component) -}}
{{- $given := dict -}}
{{- range concat ($component.env | default list) ($component.envOverrides | default list) -}}
{{- $_ := set $given .name . -}}
{{- end -}}
{{- if hasKey $given "DB_CONNECTION_STRING" -}}
{{- if regexMatch "(?i)password=|://[^@/]*:" ($given.DB_CONNECTION_STRING.value | default "") -}}
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
{{- if and (hasKey $given "POSTGRES_PASSWORD") (not (contains "ALTER ROLE" (join " " ($component.command | default list)))) -}}
{{- fail (printf "opentelemetry-demo.components.%s.command: it does not give the roles the passwords of the Secret %s, so what connects is refused. Leave the program's." $name $secret) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $secret -}}
{{- $collector := index $demo "opentelemetry-collector" -}}
{{- $variables := list -}}
{{- range $collector.extraEnvs | default list -}}
{{- $variables = append $variables .name -}}
{{- end -}}
{{- if and (dig "enabled" true $collector) (not (has "POSTGRESQL_PASSWORD" $variables)) -}}
{{- fail (printf "opentelemetry-demo.opentelemetry-collector.extraEnvs: POSTGRESQL_PASSWORD is missing, which the receiver of PostgreSQL reads. Take it from the Secret %s; a list of your own replaces the program's." $secret) -}}
{{- end -}}
{{- end -}}
{{- end -}}

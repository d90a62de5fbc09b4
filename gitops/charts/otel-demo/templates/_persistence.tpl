{{/*
Which claim each workload mounts: JSON of {workload: claim}. Without a claim, a workload is left out.
*/}}
{{- define "otel-demo.mounted-claims" -}}
{{- $demo := index .Values "opentelemetry-demo" -}}
{{- $mounted := dict -}}
{{- $volumes := dict "opensearch" (dig "opensearch" "extraVolumes" list $demo) -}}
{{- range $name, $component := $demo.components -}}
{{- $_ := set $volumes $name ($component.additionalVolumes | default list) -}}
{{- end -}}
{{- range $name, $listed := $volumes -}}
{{- range $listed -}}
{{- with dig "persistentVolumeClaim" "claimName" "" . -}}
{{- $_ := set $mounted $name . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if dig "prometheus" "server" "persistentVolume" "enabled" false $demo -}}
{{- with dig "prometheus" "server" "persistentVolume" "existingClaim" "" $demo -}}
{{- $_ := set $mounted "prometheus" . -}}
{{- end -}}
{{- end -}}
{{- toJson $mounted -}}
{{- end -}}

{{/*
Refuses a claim that its database does not mount: it would write elsewhere, and lose all at its next move. A list in the
stack file's own values replaces the one with the mount.
*/}}
{{- define "otel-demo.check-claims" -}}
{{- $mounted := include "otel-demo.mounted-claims" . | fromJson -}}
{{- $demo := index .Values "opentelemetry-demo" -}}
{{- $listed := list -}}
{{- range .Values.stateful -}}{{- $listed = append $listed .name -}}{{- end -}}
{{- range $database, $claim := .Values.persistence.claims -}}
{{- if not (has $database $listed) -}}
{{- fail (printf "persistence.claims: %s is no database of `stateful`. Remove its claim, or list it." $database) -}}
{{- end -}}
{{- if ne (get $mounted $database | default "") $claim.name -}}
{{- fail (printf "persistence.claims.%s: %s does not mount the claim %s: what it writes would go with its pod. Keep the volume in components.%s.additionalVolumes, opensearch.extraVolumes or prometheus.server.persistentVolume.existingClaim; a list of your own replaces it." $database $database $claim.name $database) -}}
{{- end -}}
{{- end -}}
{{- range $database, $home := dict "kafka" "KAFKA_LOG_DIRS" "postgresql" "PGDATA" "astronomy-db" "PGDATA" -}}
{{- if hasKey $.Values.persistence.claims $database -}}
{{- $given := list -}}
{{- range concat (dig "components" $database "env" list $demo) (dig "components" $database "envOverrides" list $demo) -}}
{{- $given = append $given .name -}}
{{- end -}}
{{- if not (has $home $given) -}}
{{- fail (printf "persistence.claims.%s: %s is missing from components.%s.envOverrides: %s would keep its data elsewhere. A list of your own replaces the one that has it; write it there too." $database $home $database $database) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.persistence.claims (not .Values.placementHook.enabled) -}}
{{- fail "placementHook.enabled: false, but databases with a volume need it: the demo chart has no key for the strategy Recreate, and without it a new pod waits for the volume that the old one holds. Set it to true." -}}
{{- end -}}
{{- end -}}

{{/*
Names of the Deployments that get the strategy Recreate by the hook: JSON of {names: [...]}. Prometheus declares it.
*/}}
{{- define "otel-demo.recreated" -}}
{{- $components := dig "components" dict (index .Values "opentelemetry-demo") -}}
{{- $names := list -}}
{{- range .Values.stateful -}}
{{- if and (eq .kind "Deployment") (hasKey $components .name) (hasKey $.Values.persistence.claims .name) -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}
{{- dict "names" $names | toJson -}}
{{- end -}}

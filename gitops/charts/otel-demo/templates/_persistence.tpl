{{/*
What each workload mounts: JSON of {workload: {claim, at}}. Without a claim that is mounted, a workload is left out.
*/}}
{{- define "otel-demo.mounted-claims" -}}
{{- $demo := index .Values "opentelemetry-demo" -}}
{{- $mounted := dict -}}
{{- $pods := dict "opensearch" (list (dig "opensearch" "extraVolumes" list $demo) (dig "opensearch" "extraVolumeMounts" list $demo)) -}}
{{- range $name, $component := $demo.components -}}
{{- $_ := set $pods $name (list ($component.additionalVolumes | default list) ($component.additionalVolumeMounts | default list)) -}}
{{- end -}}
{{- range $name, $pod := $pods -}}
{{- range $volume := first $pod -}}
{{- $claim := dig "persistentVolumeClaim" "claimName" "" $volume -}}
{{- range last $pod -}}
{{- if and $claim (eq .name $volume.name) -}}
{{- $_ := set $mounted $name (dict "claim" $claim "at" .mountPath) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if dig "prometheus" "server" "persistentVolume" "enabled" false $demo -}}
{{- with dig "prometheus" "server" "persistentVolume" "existingClaim" "" $demo -}}
{{- $_ := set $mounted "prometheus" (dict "claim" . "at" "") -}}
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
{{- if ne (dig $database "claim" "" $mounted) $claim.name -}}
{{- fail (printf "persistence.claims.%s: %s does not mount the claim %s: what it writes would go with its pod. Keep the volume and its mount in components.%s.additionalVolumes and additionalVolumeMounts, opensearch.extraVolumes and extraVolumeMounts, or prometheus.server.persistentVolume.existingClaim; a list of your own replaces it." $database $database $claim.name $database) -}}
{{- end -}}
{{- end -}}
{{- /* Where each keeps its data, and what tells it so: a variable, an argument, or its image. */}}
{{- $homes := dict "kafka" "KAFKA_LOG_DIRS" "postgresql" "PGDATA" "astronomy-db" "PGDATA" "valkey-cart" "--dir" "opensearch" "" -}}
{{- range $database, $told := $homes -}}
{{- if hasKey $.Values.persistence.claims $database -}}
{{- $home := "/usr/share/opensearch/data" -}}
{{- if eq $told "--dir" -}}
{{- /* The image's own, where the command names none. */}}
{{- $home = "/data" -}}
{{- $command := dig "components" $database "command" list $demo -}}
{{- range $index, $word := $command -}}
{{- if and (eq $word $told) (lt (add1 $index | int) (len $command)) -}}
{{- $home = index $command (add1 $index | int) -}}
{{- end -}}
{{- end -}}
{{- else if $told -}}
{{- $home = "" -}}
{{- range concat (dig "components" $database "env" list $demo) (dig "components" $database "envOverrides" list $demo) -}}
{{- if eq .name $told -}}
{{- $home = .value | default "" -}}
{{- end -}}
{{- end -}}
{{- if not $home -}}
{{- fail (printf "persistence.claims.%s: %s is missing from components.%s.envOverrides: %s would keep its data elsewhere. A list of your own replaces the one that has it; write it there too." $database $told $database $database) -}}
{{- end -}}
{{- end -}}
{{- $at := dig $database "at" "" $mounted -}}
{{- if not (hasPrefix (print (trimSuffix "/" $at) "/") (print (trimSuffix "/" $home) "/")) -}}
{{- fail (printf "persistence.claims.%s: its volume is mounted at %s, and %s keeps its data in %s, which goes with its pod. Keep one below the other; a list of your own replaces the program's." $database $at $database $home) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (hasKey .Values.persistence.claims "opensearch") (dig "opensearch" "persistence" "enabled" false $demo) -}}
{{- fail "opentelemetry-demo.opensearch.persistence.enabled: its volume comes from persistence.claims.opensearch, and two at one place are refused by the API server. Leave the chart's own at false." -}}
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

{{/*
The number behind a quantity of Kubernetes; nothing where it is none. Argument: the quantity.
Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
*/}}
{{- define "otel-demo.quantity" -}}
{{- $text := toString . -}}
{{- if regexMatch "^[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?([mkMGTPE]|[KMGTPE]i)?$" $text -}}
{{- $number := regexFind "^[0-9.]+([eE][+-]?[0-9]+)?" $text -}}
{{- $units := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- printf "%.3f" (mulf (float64 $number) (get $units (trimPrefix $number $text))) -}}
{{- end -}}
{{- end -}}

{{/*
Refuses, wherever it stands in values, what no chart's schema refuses and the API server, the namespace's level (baseline)
or a mirror would: a request above its limit, a container that is of the node, an image that moves. What is switched off
is not looked at. Arguments: path, value.
Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
*/}}
{{- define "otel-demo.check-values" -}}
{{- $path := index . 0 -}}
{{- $value := index . 1 -}}
{{- if kindIs "slice" $value -}}
{{- range $index, $item := $value -}}
{{- if or (kindIs "map" $item) (kindIs "slice" $item) -}}
{{- include "otel-demo.check-values" (list (printf "%s[%d]" $path $index) $item) -}}
{{- end -}}
{{- end -}}
{{- else if not (or (eq (toString (get $value "enabled")) "false") (eq (toString (get $value "create")) "false")) -}}
{{- range $key, $below := $value -}}
{{- $at := printf "%s.%s" $path $key | trimPrefix "." -}}
{{- if $below -}}
{{- if has $key (list "hostNetwork" "hostPID" "hostIPC" "hostProcess" "privileged" "hostPath") -}}
{{- fail (printf "%s: it is the node's, and this namespace's level (baseline) refuses the pod. Leave it out." $at) -}}
{{- else if and (eq $key "hostPort") (not (contains "opentelemetry-collector.ports." $at)) -}}
{{- fail (printf "%s: it is a port of the node, and this namespace's level (baseline) refuses the pod. Leave it out; a Service leads to the pod." $at) -}}
{{- else if or (and (eq $key "procMount") (ne (toString $below) "Default")) (and (eq $key "type") (hasSuffix ".seccompProfile" $path) (eq (toString $below) "Unconfined")) (and (eq $key "type") (hasSuffix ".seLinuxOptions" $path) (not (hasPrefix "container_" (toString $below)))) (and (hasPrefix "container.apparmor.security.beta.kubernetes.io/" $key) (eq (toString $below) "unconfined")) -}}
{{- fail (printf "%s: %v takes a protection of the runtime's away, and this namespace's level (baseline) refuses the pod. Leave it out." $at $below) -}}
{{- else if and (eq $key "add") (hasSuffix ".capabilities" $path) -}}
{{- range $below -}}
{{- if not (has (trimPrefix "CAP_" .) (list "AUDIT_WRITE" "CHOWN" "DAC_OVERRIDE" "FOWNER" "FSETID" "KILL" "MKNOD" "NET_BIND_SERVICE" "SETFCAP" "SETGID" "SETPCAP" "SETUID" "SYS_CHROOT")) -}}
{{- fail (printf "%s: %s is more than this namespace's level (baseline) lets a container have. Leave it out." $at .) -}}
{{- end -}}
{{- end -}}
{{- else if and (eq $key "sysctls") (kindIs "slice" $below) -}}
{{- fail (printf "%s: this namespace's level (baseline) refuses all but a few. Leave them to the nodes." $at) -}}
{{- else if or (and (eq $key "tag") (eq (toString $below) "latest")) (and (eq $key "image") (kindIs "string" $below) (hasSuffix ":latest" (toString $below))) -}}
{{- fail (printf "%s: latest moves, and nodes run what they pulled last. Name a version, or a digest." $at) -}}
{{- else if and (eq $key "requests") (kindIs "map" $below) -}}
{{- $limits := kindIs "map" $value.limits | ternary $value.limits dict -}}
{{- range $resource, $asked := $below -}}
{{- $most := get $limits $resource -}}
{{- range $quantity := list $asked $most -}}
{{- if and (ne (toString $quantity) "") (not (include "otel-demo.quantity" $quantity)) -}}
{{- fail (printf "%s: %s %v is no quantity. Write it as 250m or 128Mi." $path $resource $quantity) -}}
{{- end -}}
{{- end -}}
{{- if and (ne (toString $most) "") (gt (include "otel-demo.quantity" $asked | float64) (include "otel-demo.quantity" $most | float64)) -}}
{{- fail (printf "%s: the request of %s, %v, is above its limit, %v, and the API server refuses the pod. Set both (what one of them leaves out is the chart's)." $path $resource $asked $most) -}}
{{- end -}}
{{- end -}}
{{- else if or (kindIs "map" $below) (kindIs "slice" $below) -}}
{{- include "otel-demo.check-values" (list $at $below) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Refuses memory that its process would fill: Prometheus' data above the memory that reads it again or above its volume, a
heap above the container's limit.
*/}}
{{- define "otel-demo.check-memory" -}}
{{- $demo := index .Values "opentelemetry-demo" -}}
{{- if dig "prometheus" "enabled" true $demo -}}
{{- $server := dig "prometheus" "server" dict $demo -}}
{{- $size := toString ($server.retentionSize | default "") -}}
{{- $kept := regexMatch "^[0-9]+(\\.[0-9]+)?([KMGTPE]i?)?B$" $size | ternary (regexReplaceAll "([KMGTPE])i?$" (trimSuffix "B" $size) "${1}i" | include "otel-demo.quantity") "" -}}
{{- if not $kept -}}
{{- fail (printf "opentelemetry-demo.prometheus.server.retentionSize: %q is no size. Without one it keeps more than it can read again when it starts. Write it as 512MB or 2GB." $size) -}}
{{- end -}}
{{- $volume := list "emptyDir.sizeLimit" (dig "emptyDir" "sizeLimit" "" $server) -}}
{{- with get .Values.persistence.claims "prometheus" -}}
{{- $volume = list "its volume" (printf "%vGi" .gib) -}}
{{- end -}}
{{- range list (list "resources.limits.memory" (dig "resources" "limits" "memory" "" $server)) $volume -}}
{{- $most := include "otel-demo.quantity" (last .) -}}
{{- if and $most (ge (float64 $kept) (float64 $most)) -}}
{{- fail (printf "opentelemetry-demo.prometheus.server.retentionSize: %s is not below %s, %v: it reads what it kept when it starts again. Keep less, or give it more of both." $size (first .) (last .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $heaps := dict -}}
{{- if dig "opensearch" "enabled" true $demo -}}
{{- $_ := set $heaps "opensearch.opensearchJavaOpts" (list (dig "opensearch" "opensearchJavaOpts" "" $demo) (dig "opensearch" "resources" "limits" "memory" "" $demo)) -}}
{{- end -}}
{{- range $name, $component := $demo.components -}}
{{- if dig "enabled" true $component -}}
{{- range concat ($component.env | default list) ($component.envOverrides | default list) -}}
{{- if contains "-Xmx" (toString .value) -}}
{{- $_ := set $heaps (printf "components.%s: %s" $name .name) (list .value (dig "resources" "limits" "memory" "" $component)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $at, $pair := $heaps -}}
{{- $heap := regexFind "-Xmx[0-9]+[kKmMgG]?" (first $pair) | trimPrefix "-Xmx" | upper -}}
{{- $bytes := include "otel-demo.quantity" (regexMatch "[KMG]$" $heap | ternary (print $heap "i") $heap) -}}
{{- $limit := include "otel-demo.quantity" (last $pair) -}}
{{- if and $bytes $limit (ge (float64 $bytes) (float64 $limit)) -}}
{{- fail (printf "opentelemetry-demo.%s: a heap of %s does not fit into a limit of %v, and the kernel ends the process. Raise resources too, request and limit." $at $heap (last $pair)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Refuses names and workloads other than those that placement, network policies, budgets and hooks are made for.
*/}}
{{- define "otel-demo.check-workloads" -}}
{{- $demo := index .Values "opentelemetry-demo" -}}
{{- $names := dict "grafana" "grafana" "jaeger" "jaeger" "opensearch" "opensearch" "opentelemetry-collector" "otel-collector" "prometheus/server" "prometheus" "prometheus" "" -}}
{{- range $path, $name := $names -}}
{{- $values := $demo -}}
{{- range splitList "/" $path -}}
{{- $values = get $values . | default dict -}}
{{- end -}}
{{- if and (dig (first (splitList "/" $path)) "enabled" true $demo) $values -}}
{{- if ne ($values.fullnameOverride | default $name) $name -}}
{{- fail (printf "opentelemetry-demo.%s.fullnameOverride: %s, but everything here finds the workload and its Service by the name %s. Leave it." (replace "/" "." $path) $values.fullnameOverride $name) -}}
{{- end -}}
{{- if $values.nameOverride -}}
{{- fail (printf "opentelemetry-demo.%s.nameOverride: %s, but the network policies find its pods by the chart's own name. Leave it out." (replace "/" "." $path) $values.nameOverride) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $more := list "grafana/imageRenderer" "grafana/testFramework" "jaeger/agent" "jaeger/collector" "jaeger/esIndexCleaner" "jaeger/esLookback" "jaeger/esRollover" "jaeger/hotrod" "jaeger/ingester" "jaeger/query" "jaeger/spark" "prometheus/alertmanager" "prometheus/kube-state-metrics" "prometheus/prometheus-node-exporter" "prometheus/prometheus-pushgateway" -}}
{{- range $more -}}
{{- $chart := first (splitList "/" .) -}}
{{- $key := last (splitList "/" .) -}}
{{- if and (dig $chart "enabled" true $demo) (dig $chart $key "enabled" false $demo) -}}
{{- fail (printf "opentelemetry-demo.%s.%s.enabled: a workload without a place, requests, a probe or a flow here: nobody reaches it, and it reaches nobody. Leave it disabled, and deploy it as a child of its own (gitops.applications)." $chart $key) -}}
{{- end -}}
{{- end -}}
{{- range $store, $made := dig "jaeger" "provisionDataStore" dict $demo | default dict -}}
{{- if $made -}}
{{- fail (printf "opentelemetry-demo.jaeger.provisionDataStore.%s: a workload without a place, requests or a flow here. Leave it at false." $store) -}}
{{- end -}}
{{- end -}}
{{- $kinds := dict "grafana.useStatefulSet" (dig "grafana" "useStatefulSet" false $demo) "prometheus.server.statefulSet.enabled" (dig "prometheus" "server" "statefulSet" "enabled" false $demo) -}}
{{- range $key, $given := $kinds -}}
{{- if $given -}}
{{- fail (printf "opentelemetry-demo.%s: the workload is a Deployment here: the hooks and its volume are of that one. Leave it at false." $key) -}}
{{- end -}}
{{- end -}}
{{- if eq (toString (dig "opentelemetry-collector" "service" "enabled" true $demo)) "false" -}}
{{- fail "opentelemetry-demo.opentelemetry-collector.service.enabled: every component sends to that Service. Leave it enabled." -}}
{{- end -}}
{{- if not (dig "enabled" true $demo) -}}
{{- fail "opentelemetry-demo.enabled: false leaves policies and hooks of nothing. Leave the demo out by gitops.applications.otel-demo.enabled: false." -}}
{{- end -}}
{{- range $name, $component := $demo.components -}}
{{- if and (dig "enabled" false $component) (not (and (dig "resources" "requests" "cpu" "" $component) (dig "resources" "requests" "memory" "" $component))) -}}
{{- fail (printf "opentelemetry-demo.components.%s.resources.requests: cpu or memory is missing, so no node is sized for it. Give both." $name) -}}
{{- end -}}
{{- if and $.Values.podLifecycle.enabled (dig "enabled" false $component) (not (hasKey $.Values.podLifecycle.workloads $name)) -}}
{{- fail (printf "podLifecycle.workloads: %s runs and has no line: nothing says when it is Ready. Add %s with its probe, or {} where it serves nobody." $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Refuses a flow, an entry or a client of a workload that is not there, and a component at a port that no flow leads to.
*/}}
{{- define "otel-demo.check-flows" -}}
{{- $demo := index .Values "opentelemetry-demo" -}}
{{- $policy := .Values.networkPolicy -}}
{{- $known := concat (keys $demo.components) (list "grafana" "jaeger" "opensearch" "otel-collector" "prometheus") -}}
{{- $led := dict -}}
{{- range $from, $targets := $policy.flows -}}
{{- range $name := prepend (keys $targets) $from -}}
{{- if not (has $name $known) -}}
{{- fail (printf "networkPolicy.flows.%s: %s is no workload of opentelemetry-demo. Correct its name." $from $name) -}}
{{- end -}}
{{- end -}}
{{- range $to, $ports := $targets -}}
{{- $_ := set $led $to (concat (get $led $to | default list) $ports) -}}
{{- end -}}
{{- end -}}
{{- range $key, $names := dict "entry" (keys $policy.entry) "internet.clients" (keys $policy.internet.clients) "apiServer.clients" $policy.apiServer.clients -}}
{{- range $names -}}
{{- if not (has . $known) -}}
{{- fail (printf "networkPolicy.%s: %s is no workload of opentelemetry-demo. Correct its name." $key .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $ports := dict "grafana" (list 3000) "jaeger" (list 4317 4318 16685 16686) "opensearch" (list 9200) "otel-collector" (list 4317 4318) "prometheus" (list 9090) -}}
{{- range $name, $component := $demo.components -}}
{{- $own := list -}}
{{- range prepend ($component.sidecarContainers | default list) $component -}}
{{- with dig "service" "port" 0 . -}}
{{- $own = append $own (int .) -}}
{{- end -}}
{{- range .ports | default list -}}
{{- $own = append $own (int .value) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $ports $name $own -}}
{{- range get $led $name | default list -}}
{{- if and (or $component.ports (dig "service" "port" 0 $component)) (dig "enabled" true $component) (not (has (int .) $own)) -}}
{{- fail (printf "networkPolicy.flows: they lead others to port %d of %s, and it listens on %s: everything would be dropped. Change the flows, its probe in podLifecycle and what its clients are told together with service.port or ports." (int .) $name (toJson (uniq $own))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $entry := $policy.entry -}}
{{- $open := list -}}
{{- range $entry.ports -}}
{{- if has (int .) (get $ports $name | default list) -}}
{{- $open = append $open . -}}
{{- end -}}
{{- end -}}
{{- if and (get $ports $name) (not $open) -}}
{{- fail (printf "networkPolicy.entry.%s.ports: %s, and %s listens on %s: a policy is of the container's port, not of its Service's." $name (toJson $entry.ports) $name (toJson (get $ports $name))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

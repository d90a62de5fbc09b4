{{- define "otel-demo.hook-labels" -}}
app.kubernetes.io/name: stateful-placement
app.kubernetes.io/part-of: opentelemetry-demo
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "otel-demo.lifecycle-labels" -}}
app.kubernetes.io/name: pod-lifecycle
app.kubernetes.io/part-of: opentelemetry-demo
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/*
What the pods of both hooks have in common, besides their accounts.
*/}}
{{- define "otel-demo.hook-pod" -}}
{{- with .Values.placementHook.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: true
restartPolicy: Never
{{- with .Values.placementHook.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
# Anywhere that exists already, system nodes first: it must not wait for a node, least of all for one that a
# database is waiting for.
affinity:
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        preference:
          matchExpressions:
            - {key: node-role, operator: In, values: [system]}
tolerations:
  - {key: CriticalAddonsOnly, operator: Exists}
  {{- toYaml .Values.placement.tolerations | nindent 2 }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 16Mi
{{- end -}}

{{/*
What every container of the hooks has in common. Arguments only: the image has no shell.
*/}}
{{- define "otel-demo.hook-container" -}}
image: {{ printf "%s:%s" .Values.placementHook.image.repository .Values.placementHook.image.tag }}
imagePullPolicy: IfNotPresent
env:
  # kubectl keeps its discovery cache under HOME.
  - name: HOME
    value: /tmp
resources:
  {{- toYaml .Values.placementHook.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: tmp
    mountPath: /tmp
{{- end -}}

{{/*
The patch: a JSON patch (RFC 6902). `add` writes the whole value whether the field is there or not, so the selector is
exactly the placement: a stray key (an old capacity-type, another pool) does not survive beside it, as it would under a
merge patch. The rest of the template stays as it is. Applied twice, it changes nothing the second time: no rollout.
Where the demo chart has no key for it, a database with a volume ends before its successor starts. Arguments: root
context, workload.
*/}}
{{- define "otel-demo.hook-patch" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $selector := dict "op" "add" "path" "/spec/template/spec/nodeSelector" "value" $root.Values.placement.nodeSelector -}}
{{- $tolerations := dict "op" "add" "path" "/spec/template/spec/tolerations" "value" $root.Values.placement.tolerations -}}
{{- $patch := list $selector $tolerations -}}
{{- if has $name (include "otel-demo.recreated" $root | fromJson).names -}}
{{- $patch = append $patch (dict "op" "add" "path" "/spec/strategy" "value" (dict "type" "Recreate")) -}}
{{- end -}}
{{- toJson $patch -}}
{{- end -}}

{{/*
Annotations of one load balancer. Arguments: root, load balancer, protocol of its targets, path of their health check.
Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/
*/}}
{{- define "ingress.annotations" -}}
{{- $root := index . 0 -}}
{{- $balancer := index . 1 -}}
{{- $check := $root.Values.healthCheck -}}
argocd.argoproj.io/sync-wave: "1"
alb.ingress.kubernetes.io/scheme: {{ $balancer.scheme }}
alb.ingress.kubernetes.io/inbound-cidrs: {{ join "," $balancer.inboundCidrs }}
{{- with $balancer.subnetIds }}
alb.ingress.kubernetes.io/subnets: {{ join "," . }}
{{- end }}
{{- if $balancer.certificateArn }}
alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'
alb.ingress.kubernetes.io/ssl-redirect: "443"
alb.ingress.kubernetes.io/certificate-arn: {{ $balancer.certificateArn }}
alb.ingress.kubernetes.io/ssl-policy: {{ $root.Values.tlsPolicy }}
{{- else }}
alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}]'
{{- end }}
# Without this one a web ACL that was taken out of the stack file would stay.
alb.ingress.kubernetes.io/wafv2-acl-arn: {{ $balancer.webAclArn | default "none" }}
alb.ingress.kubernetes.io/load-balancer-attributes: routing.http.drop_invalid_header_fields.enabled=true
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds={{ $root.Values.deregistrationDelaySeconds }}
alb.ingress.kubernetes.io/backend-protocol: {{ index . 2 }}
alb.ingress.kubernetes.io/healthcheck-protocol: {{ index . 2 }}
alb.ingress.kubernetes.io/healthcheck-path: {{ index . 3 }}
alb.ingress.kubernetes.io/healthcheck-interval-seconds: {{ $check.intervalSeconds | quote }}
alb.ingress.kubernetes.io/healthcheck-timeout-seconds: {{ $check.timeoutSeconds | quote }}
alb.ingress.kubernetes.io/healthy-threshold-count: {{ $check.healthyThreshold | quote }}
alb.ingress.kubernetes.io/unhealthy-threshold-count: {{ $check.unhealthyThreshold | quote }}
alb.ingress.kubernetes.io/success-codes: "200"
{{- end -}}

{{/*
Labels of everything here. Argument: root.
*/}}
{{- define "ingress.labels" -}}
app.kubernetes.io/part-of: {{ .Values.project }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

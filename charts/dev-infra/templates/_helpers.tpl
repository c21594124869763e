{{- define "infra.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: dev-infra
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{- define "infra.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{/* Restricted Pod Security: nobody is root, and nothing is gained on the way. */}}
{{- define "infra.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .uid }}
  runAsGroup: {{ .uid }}
  fsGroup: {{ .uid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "infra.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: { drop: [ALL] }
{{- end -}}

{{- define "infra.claim" -}}
- metadata: { name: data }
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .root.Values.storage.className }}
    storageClassName: {{ . }}
    {{- end }}
    resources: { requests: { storage: {{ .root.Values.storage.size }} } }
{{- end -}}

{{- define "infra.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "infra.labels" . | nindent 4 }}
spec:
  selector: {{- include "infra.selector" . | nindent 4 }}
  ports:
    - { name: {{ .portName }}, port: {{ .port }}, targetPort: {{ .portName }} }
{{- end -}}

{{/* The password of Postgres and S3: given, or that of the release before or as it is, or a new one. */}}
{{- define "infra.password" -}}
{{- if .Values.password -}}
{{- .Values.password -}}
{{- else -}}
{{- $kept := lookup "v1" "Secret" .Release.Namespace "dev-infra" -}}
{{- if $kept -}}
{{- index $kept.data "password" | b64dec -}}
{{- else -}}
{{- randAlphaNum 24 -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "engine.name" -}}
{{- default .Release.Name .Values.name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "engine.labels" -}}
app.kubernetes.io/name: pricing-engine
app.kubernetes.io/instance: {{ include "engine.name" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The spec, with what charts/dev-infra offers where it names nothing. Names are whole: the operator runs elsewhere. */}}
{{- define "engine.spec" -}}
{{- $spec := deepCopy .Values.spec -}}
{{- if .Values.devInfra -}}
{{- $domain := printf "%s.svc.cluster.local" .Release.Namespace -}}
{{- $ref := dict "secretRef" (dict "name" "postgres") -}}
{{- $defaults := dict
  "kafka" (dict "brokers" (list (printf "kafka.%s:9092" $domain)))
  "postgres" (dict "primary" $ref "replica" (dict "secretRef" (dict "name" "postgres-replica")))
  "redis" (dict "secretRef" (dict "name" "redis")) -}}
{{- range $section, $value := $defaults -}}
{{- if not (hasKey $spec $section) -}}{{- $_ := set $spec $section $value -}}{{- end -}}
{{- end -}}
{{- if and (hasKey $spec "payment") (not (hasKey $spec.payment "processors")) -}}
{{- $token := dict "name" "processors" -}}
{{- $_ := set $spec.payment "processors" (list
  (dict "name" "default" "url" (printf "http://processor-default.%s:8080" $domain) "fee" "0.05" "secretRef" $token)
  (dict "name" "fallback" "url" (printf "http://processor-fallback.%s:8080" $domain) "fee" "0.15" "secretRef" $token)) -}}
{{- end -}}
{{- if and (hasKey $spec "orders") (not (hasKey $spec.orders "receipts")) -}}
{{- $_ := set $spec.orders "receipts" (dict "s3" (dict
  "endpoint" (printf "http://s3.%s:7070" $domain) "bucket" "receipts" "secretRef" (dict "name" "s3"))) -}}
{{- end -}}
{{- end -}}
{{- range $section := list "kafka" "postgres" "redis" -}}
{{- if not (hasKey $spec $section) -}}
{{- fail (printf "spec.%s is missing: say where it is, or set devInfra=true to use charts/dev-infra" $section) -}}
{{- end -}}
{{- end -}}
{{- toYaml $spec -}}
{{- end -}}

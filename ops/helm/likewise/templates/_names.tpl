{{- define "likewise.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "likewise.selector" -}}
app.kubernetes.io/name: likewise
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "likewise.labels" -}}
{{ include "likewise.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "likewise.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "likewise.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "likewise.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- /* The services that run, each with its command. */ -}}
{{- define "likewise.services" -}}
{{- $commands := dict "consumer" "consume" "indexer" "index" "server" "serve" "gateway" "gateway" -}}
{{- range $service, $command := $commands -}}
{{- if (index $.Values $service).enabled }}
{{ $service }}: {{ $command }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Whether the number of pods of a service is left to autoscaling. */ -}}
{{- define "likewise.autoscaled" -}}
{{- if dig "autoscaling" "enabled" false . }}true{{ end -}}
{{- end -}}

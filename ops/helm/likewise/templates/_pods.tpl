{{- define "likewise.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "likewise.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* What every pod has in common. */ -}}
{{- define "likewise.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "likewise.podSecurity" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /*
The endpoint answers as soon as the process runs. A service is alive while it waits for Kafka, Redis or a first
model, and ready when it can work: a restart would not help it to wait.
*/ -}}
{{- define "likewise.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: monitoring}
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /healthz, port: monitoring}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: monitoring}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{- /* A claim that all pods share, or a cache of each pod where models are in an object store. */ -}}
{{- define "likewise.modelVolume" -}}
- name: models
{{- if .Values.settings.model.store }}
  emptyDir: {sizeLimit: {{ .Values.models.cacheSize }}}
{{- else }}
  persistentVolumeClaim:
    claimName: {{ .Values.models.existingClaim | default (printf "%s-models" (include "likewise.fullname" .)) }}
{{- end }}
{{- end -}}

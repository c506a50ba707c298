{{- /* A value as the text of an environment variable. Helm reads all numbers as floats. */ -}}
{{- define "likewise.text" -}}
{{- if kindIs "slice" . -}}
{{- $texts := list -}}
{{- range . }}{{ $texts = append $texts (include "likewise.text" .) }}{{ end -}}
{{- join "," $texts -}}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- define "likewise.variable" -}}
LIKEWISE_{{ . | replace "." "_" | upper }}
{{- end -}}

{{- /* The variables of all settings, as a YAML map. */ -}}
{{- define "likewise.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- if .Values.topicsJob.enabled -}}
{{- $_ := set $settings.kafka "create_topics" false -}}
{{- end -}}
{{- if and $settings.model.store (not $settings.model.cache_directory) -}}
{{- $_ := set $settings.model "cache_directory" $settings.model.directory -}}
{{- end -}}
{{- if .Values.dask.enabled -}}
{{- $address := printf "%s-dask-scheduler" (include "likewise.fullname" .) -}}
{{- $given := $settings.indexer | default dict -}}
{{- $dask := dict "engine" "dask"
  "dask_scheduler" (printf "tcp://%s:8786" $address) "dask_dashboard" (printf "http://%s:8787/status" $address) -}}
{{- $_ := set $settings "indexer" (merge $given $dask) -}}
{{- end -}}
LIKEWISE_STRICT_SETTINGS: "true"
{{- range $table, $settings := $settings }}
{{- range $name, $value := $settings }}
{{- if not (kindIs "invalid" $value) }}
{{ include "likewise.variable" (printf "%s.%s" $table $name) }}: {{ include "likewise.text" $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The variables that name the files of secrets. A setting that is a path is named `…file`. */ -}}
{{- define "likewise.secretVariables" -}}
{{- range $setting, $secret := . }}
- name: {{ include "likewise.variable" $setting }}{{ if not (hasSuffix "file" $setting) }}_FILE{{ end }}
  value: /etc/likewise/secrets/{{ $setting }}
{{- end }}
{{- end -}}

{{- define "likewise.secretVolume" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $setting, $secret := . }}
      - secret:
          name: {{ $secret.name }}
          items: [{key: {{ $secret.key | quote }}, path: {{ $setting }}}]
      {{- end }}
{{- end -}}

{{- /* Fails with a sentence where a value is missing that no default can replace. */ -}}
{{- define "likewise.check" -}}
{{- with .Values -}}
{{- if not .settings.kafka.bootstrap_servers -}}
{{- fail "settings.kafka.bootstrap_servers is required: the addresses of the Kafka brokers" -}}
{{- end -}}
{{- if not .settings.redis.url -}}
{{- fail "settings.redis.url is required: the address of Redis" -}}
{{- end -}}
{{- if and .gateway.enabled (not .gateway.keys.name) (not (hasKey .secrets "gateway.api_key")) -}}
{{- fail "gateway.keys.name is required: a Secret with a file of API keys; docs/kubernetes.md creates one. Or set gateway.enabled to false" -}}
{{- end -}}
{{- if and .gateway.ingress.enabled (not .gateway.enabled) -}}
{{- fail "gateway.ingress.enabled needs gateway.enabled" -}}
{{- end -}}
{{- end -}}
{{- end -}}

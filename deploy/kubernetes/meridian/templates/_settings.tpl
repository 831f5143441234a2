{{/*
What the server is told: all by variables, so that commands in the pod (`kubectl exec … -- meridian regions list`) know the same.
*/}}
{{- define "meridian.environment" -}}
{{- $fdb := .Values.metadata.foundationdb -}}
- name: MERIDIAN_REGION
  value: {{ .Values.region.code | quote }}
{{- with .Values.region.geography }}
- name: MERIDIAN_GEOGRAPHY
  value: {{ . | quote }}
{{- end }}
- name: MERIDIAN_WORKERS
  value: {{ .Values.region.workers | int | quote }}
- name: MERIDIAN_HOST
  value: {{ .Values.network.host | quote }}
- name: MERIDIAN_PORT
  value: "9000"
- name: MERIDIAN_METRICS_HOST
  value: {{ .Values.network.host | quote }}
- name: MERIDIAN_METRICS_PORT
  value: "9200"
- name: MERIDIAN_DATA
  value: /data
{{- with include "meridian.volumePaths" . }}
- name: MERIDIAN_VOLUMES
  value: {{ . }}
{{- end }}
- name: MERIDIAN_DRAIN_SECONDS
  value: {{ .Values.drainSeconds | int | quote }}
- name: MERIDIAN_METADATA
  value: {{ .Values.metadata.driver }}
{{- if include "meridian.hasFoundationDb" . }}
- name: MERIDIAN_FDB_CLUSTER_FILE
  value: /run/foundationdb/fdb.cluster
- name: MERIDIAN_FDB_PREFIX
  value: {{ $fdb.prefix | quote }}
{{- with $fdb.datacenter }}
- name: MERIDIAN_FDB_DATACENTER
  value: {{ . | quote }}
{{- end }}
{{- if $fdb.tls.existingSecret }}
- name: MERIDIAN_FDB_TLS_CERTIFICATE
  value: /etc/meridian/foundationdb-tls/tls.crt
- name: MERIDIAN_FDB_TLS_KEY
  value: /etc/meridian/foundationdb-tls/tls.key
- name: MERIDIAN_FDB_TLS_AUTHORITY
  value: /etc/meridian/foundationdb-tls/ca.crt
{{- with $fdb.tls.peers }}
- name: MERIDIAN_FDB_TLS_PEERS
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if include "meridian.isClustered" . }}
- name: MERIDIAN_CLUSTER_SECRET_FILE
  value: /etc/meridian/cluster/secret
- name: MERIDIAN_PEER_HOST
  value: {{ .Values.network.host | quote }}
- name: MERIDIAN_PEER_PORT
  value: "9100"
- name: MERIDIAN_PEER_URL
  value: {{ include "meridian.peerUrl" . | quote }}
{{- if include "meridian.hasFoundationDb" . }}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: MERIDIAN_NODE_URL
  value: "http://$(POD_NAME).{{ include "meridian.host" (dict "root" . "service" "nodes") }}:9100"
{{- end }}
{{- with .Values.cluster.join }}
- name: MERIDIAN_JOIN
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- if .Values.encryption.existingSecret }}
- name: MERIDIAN_KEY_FILE
  value: /etc/meridian/encryption/keys.json
{{- end }}
{{- if .Values.redis.existingSecret }}
- name: MERIDIAN_REDIS
  valueFrom: { secretKeyRef: { name: {{ .Values.redis.existingSecret | quote }}, key: {{ .Values.redis.key | quote }} } }
{{- else if .Values.redis.url }}
- name: MERIDIAN_REDIS
  value: {{ .Values.redis.url | quote }}
{{- end }}
{{- with .Values.administrator }}
{{- if .existingSecret }}
- name: MERIDIAN_ACCESS_KEY
  valueFrom: { secretKeyRef: { name: {{ .existingSecret | quote }}, key: {{ .accessKey | quote }} } }
- name: MERIDIAN_SECRET_KEY
  valueFrom: { secretKeyRef: { name: {{ .existingSecret | quote }}, key: {{ .secretKey | quote }} } }
{{- end }}
{{- end }}
{{- if .Values.tls.existingSecret }}
- name: MERIDIAN_TLS_PORT
  value: "9443"
- name: MERIDIAN_TLS_CERTIFICATES
  value: /etc/meridian/tls
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: MERIDIAN_{{ snakecase $name | upper }}
  value: {{ include "meridian.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* Helm takes 10000000 for a fraction, and writes it 1e+07. */}}
{{- define "meridian.text" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- define "meridian.volumePaths" -}}
{{- $paths := list -}}
{{- range $at := until (int .Values.persistence.volumes.count) -}}
{{- $paths = append $paths (printf "/volumes/%d" $at) -}}
{{- end -}}
{{- join "," $paths -}}
{{- end -}}

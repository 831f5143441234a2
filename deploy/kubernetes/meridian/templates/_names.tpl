{{- define "meridian.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "meridian.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "meridian.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "meridian.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "meridian.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "meridian.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What tells the pods of this region. */}}
{{- define "meridian.selector" -}}
app.kubernetes.io/name: {{ include "meridian.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "meridian.labels" -}}
{{ include "meridian.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
meridian/region: {{ .Values.region.code }}
{{- end -}}

{{- define "meridian.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* A host name within the Kubernetes cluster, of a Service by what comes behind the release's name. */}}
{{- define "meridian.host" -}}
{{ include "meridian.fullname" .root }}-{{ .service }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.network.clusterDomain }}
{{- end -}}

{{- define "meridian.peerUrl" -}}
{{- default (printf "http://%s:9100" (include "meridian.host" (dict "root" . "service" "peers"))) .Values.cluster.peerUrl -}}
{{- end -}}

{{/* The families of a Service's addresses. */}}
{{- define "meridian.families" -}}
ipFamilyPolicy: {{ .Values.network.familyPolicy }}
{{- with .Values.network.families }}
ipFamilies: {{ toJson . }}
{{- end }}
{{- end -}}

{{/* Whether something is on: a text that is not empty. */}}
{{- define "meridian.isClustered" -}}
{{- if .Values.cluster.existingSecret }}yes{{ end -}}
{{- end -}}

{{- define "meridian.hasFoundationDb" -}}
{{- if eq .Values.metadata.driver "foundationdb" }}yes{{ end -}}
{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "meridian.check" -}}
{{- $fdb := .Values.metadata.foundationdb -}}
{{- if and (gt (int .Values.region.nodes) 1) (not (include "meridian.hasFoundationDb" .)) -}}
{{- fail "region.nodes: several nodes of a region share its metadata in FoundationDB (metadata.driver: foundationdb); with LMDB there is one" -}}
{{- end -}}
{{- if and (gt (int .Values.region.nodes) 1) (not .Values.cluster.existingSecret) -}}
{{- fail "region.nodes: several nodes need cluster.existingSecret, by which they know each other" -}}
{{- end -}}
{{- if and (include "meridian.hasFoundationDb" .) (not $fdb.existingSecret) (not $fdb.existingConfigMap) -}}
{{- fail "metadata.foundationdb: existingSecret or existingConfigMap has to name where the cluster file is" -}}
{{- end -}}
{{- if and $fdb.existingSecret $fdb.existingConfigMap -}}
{{- fail "metadata.foundationdb: existingSecret or existingConfigMap, not both" -}}
{{- end -}}
{{- if and .Values.cluster.join (not .Values.cluster.existingSecret) -}}
{{- fail "cluster.join: a region joins with the secret of the cluster (cluster.existingSecret)" -}}
{{- end -}}
{{- if and .Values.cluster.existingSecret (not .Values.encryption.existingSecret) -}}
{{- fail "encryption.existingSecret: all nodes and regions of a cluster share one file of keys; see docs/deploying.md for how to make it" -}}
{{- end -}}
{{- if and .Values.redis.url .Values.redis.existingSecret -}}
{{- fail "redis: url or existingSecret, not both" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not (include "meridian.hosts" .)) -}}
{{- fail "ingress: settings.domains, contentDomains or websiteDomains have to name the hosts" -}}
{{- end -}}
{{- end -}}

{{/* Host names that clients use, one a line. */}}
{{- define "meridian.hosts" -}}
{{- $settings := .Values.settings -}}
{{- range splitList "," (default "" $settings.domains) }}{{ with trim . }}{{ . }}
*.{{ . }}
{{ end }}{{ end -}}
{{- range splitList "," (printf "%s,%s" (default "" $settings.contentDomains) (default "" $settings.websiteDomains)) }}{{ with trim . }}*.{{ . }}
{{ end }}{{ end -}}
{{- end -}}

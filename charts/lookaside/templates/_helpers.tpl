{{- define "lookaside.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters, so that the longest suffix still makes a DNS label. */}}
{{- define "lookaside.fullname" -}}
{{- $name := include "lookaside.name" . -}}
{{- $full := .Release.Name -}}
{{- if not (contains $name .Release.Name) -}}{{- $full = printf "%s-%s" .Release.Name $name -}}{{- end -}}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* Of what lives in no namespace: two releases of one name may stand in two namespaces. */}}
{{- define "lookaside.clusterName" -}}
{{ include "lookaside.fullname" . }}.{{ .Release.Namespace }}
{{- end -}}

{{- define "lookaside.selector" -}}
app.kubernetes.io/name: {{ include "lookaside.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Not the selector's: a test's pod is no replica. */}}
{{- define "lookaside.testSelector" -}}
app.kubernetes.io/name: {{ include "lookaside.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lookaside.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "lookaside.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "lookaside.serviceAccount" -}}
{{- $default := ternary (include "lookaside.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $default .Values.serviceAccount.name -}}
{{- end -}}

{{- define "lookaside.image" -}}
{{- $tag := printf ":%s" (default .Chart.AppVersion .Values.image.tag) -}}
{{- if .Values.image.digest -}}{{- $tag = printf "@%s" .Values.image.digest -}}{{- end -}}
{{- .Values.image.repository }}{{ $tag -}}
{{- end -}}

{{- define "lookaside.name.svc" -}}
{{ include "lookaside.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "lookaside.host" -}}
{{ include "lookaside.name.svc" . }}:{{ .Values.service.port }}
{{- end -}}

{{- define "lookaside.tlsHost" -}}
{{- if not .Values.tls.secretName }}{{ fail "bootstrap.tls needs tls.secretName, or a bootstrap.server that speaks TLS" }}{{ end -}}
{{ include "lookaside.name.svc" . }}:{{ .Values.tls.port }}
{{- end -}}

{{- define "lookaside.server" -}}
{{- $own := ternary "lookaside.tlsHost" "lookaside.host" .Values.bootstrap.tls -}}
{{- with .Values.bootstrap.server }}{{ . }}{{ else }}{{ include $own . }}{{ end -}}
{{- end -}}

{{- define "lookaside.credentials" -}}
{{- if .Values.bootstrap.tls -}}
{"type":"tls"{{ with .Values.bootstrap.caFile }},"config":{"ca_certificate_file":"{{ . }}"}{{ end }}}
{{- else -}}
{"type":"insecure"}
{{- end -}}
{{- end -}}

{{/* What `lookasidectl bootstrap` prints, byte for byte. Takes server, credentials, id, zone, namespace, and node where it is known. The schema
lets no quotes or backslashes into the server and the credentials' file. */}}
{{- define "lookaside.bootstrap" -}}
{"xds_servers":[{"server_uri":"{{ .server }}","channel_creds":[{{ .credentials }}],"server_features":["xds_v3"]}],
{{- "" -}}"node":{"id":"{{ .id }}","cluster":"lookaside","locality":{"zone":"{{ .zone }}"},"metadata":{"namespace":"{{ .namespace }}"
{{- if .node }},"node":"{{ .node }}"{{ end }}}}}
{{- end -}}

{{/* The config file: what other templates depend on, over .Values.config. */}}
{{- define "lookaside.config" -}}
{{- $own := dict
  "listen" ":18000" "admin" ":18080" "source" .Values.source "nodes" .Values.nodes
  "identifyPods" .Values.identifyPods
  "clusterDomain" .Values.clusterDomain "status" .Values.status "leaderElection" .Values.status "rebalance" .Values.rebalance
  "loadReports" .Values.loadReports
  "shutdownDelay" (printf "%ds" (int .Values.shutdown.delaySeconds))
  "shutdownTimeout" (printf "%ds" (int .Values.shutdown.timeoutSeconds)) -}}
{{- if .Values.namespaces -}}{{- $_ := set $own "namespaces" .Values.namespaces -}}{{- end -}}
{{- if ne .Values.publish "all" -}}{{- $_ := set $own "publish" .Values.publish -}}{{- end -}}
{{- if .Values.hostSuffixes -}}{{- $_ := set $own "hostSuffixes" .Values.hostSuffixes -}}{{- end -}}
{{- if .Values.limits -}}{{- $_ := set $own "limits" .Values.limits -}}{{- end -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $own "tlsListen" ":18443" -}}
{{- $_ := set $own "tlsCert" "/etc/lookaside-tls/tls.crt" -}}
{{- $_ := set $own "tlsKey" "/etc/lookaside-tls/tls.key" -}}
{{- end -}}
{{- if .Values.status -}}
{{- $_ := set $own "lease" (printf "%s/%s" .Release.Namespace (include "lookaside.fullname" .)) -}}
{{- end -}}
{{- if or .Values.status .Values.rebalance -}}
{{- $_ := set $own "replicasService" (printf "%s/%s-replicas" .Release.Namespace (include "lookaside.fullname" .)) -}}
{{- end -}}
{{- merge $own .Values.config | toYaml -}}
{{- end -}}

{{- define "lookaside.watchesItself" -}}
{{- if or (not .Values.namespaces) (has .Release.Namespace .Values.namespaces) -}}true{{- end -}}
{{- end -}}

{{/* Whether clients can ask for Lookaside's own Service, as `helm test` does. */}}
{{- define "lookaside.publishesItself" -}}
{{- if and (ne .Values.publish "resources") (include "lookaside.watchesItself" .) -}}true{{- end -}}
{{- end -}}

{{- define "lookaside.knowsPolicies" -}}
{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}true{{- end -}}
{{- end -}}

{{/* What is read and written of each namespace that is watched. */}}
{{- define "lookaside.rules" -}}
{{- if eq .Values.source "endpoints" -}}
- {apiGroups: [""], resources: [services, endpoints], verbs: [list, watch]}
{{- else -}}
- {apiGroups: [""], resources: [services], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
{{- end }}
- {apiGroups: [lookaside.dev], resources: [lookasideservices], verbs: [list, watch]}
{{- if .Values.identifyPods }}
- {apiGroups: [""], resources: [pods], verbs: [list, watch]}
{{- end }}
{{- if .Values.status }}
- {apiGroups: [lookaside.dev], resources: [lookasideservices/status], verbs: [patch]}
- {apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}
{{- end }}
{{- end -}}

{{- define "lookaside.nodeRules" -}}
- {apiGroups: [""], resources: [nodes], verbs: [list, watch]}
{{- end -}}

{{/* The Lease, and the other replicas' addresses where they are not read anyway. A right to create cannot name what is created. */}}
{{- define "lookaside.replicaRules" -}}
{{- if .Values.status }}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
- {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [{{ include "lookaside.fullname" . }}], verbs: [get, update]}
{{- end }}
{{- if and (or .Values.status .Values.rebalance) (or (ne .Values.source "slices") (not (include "lookaside.watchesItself" .))) }}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list]}
{{- end }}
{{- end -}}

{{/* A role and its binding to the ServiceAccount: all, name, rules (as text), and a namespace where it is to be a Role. */}}
{{- define "lookaside.role" }}
{{- $cluster := ternary "" "Cluster" (hasKey . "namespace") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $cluster }}Role
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "lookaside.labels" .all | nindent 4 }}
rules:
{{ .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $cluster }}RoleBinding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "lookaside.labels" .all | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ $cluster }}Role, name: {{ .name }}}
subjects:
- {kind: ServiceAccount, name: {{ include "lookaside.serviceAccount" .all }}, namespace: {{ .all.Release.Namespace }}}
{{- end -}}

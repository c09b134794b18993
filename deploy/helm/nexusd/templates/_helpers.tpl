{{- define "nexusd.image" -}}
{{- $repository := .Values.image.repository -}}
{{- if or (not $repository) (regexMatch "(^|[./])example\\.(com|net|org)(/|$)" $repository) -}}
{{- fail (printf "image.repository: %q is no image that exists. Build the Dockerfile, push the image to your registry, and name it here (docs/kubernetes.md)" $repository) -}}
{{- end -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* A service account's annotations. */}}
{{- define "nexusd.accountAnnotations" -}}
{{- with .Values.serviceAccount.annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* (list . "hub"): what selects the pods of a component. */}}
{{- define "nexusd.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: nexusd
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "nexusd.labels" -}}
{{ include "nexusd.selector" . }}
{{- $root := index . 0 }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* The label keeps the webhook from asking about its own pods. */}}
{{- define "nexusd.podLabels" -}}
{{ include "nexusd.labels" . }}
nexusd.dev/inject: "false"
{{- end }}

{{- define "nexusd.podSecurity" -}}
runAsNonRoot: true
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "nexusd.containerSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
privileged: false
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Never two on one node, where there are nodes enough, and spread over zones as far as there are any. */}}
{{- define "nexusd.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: {{ if eq (index . 1) "hub" }}DoNotSchedule{{ else }}ScheduleAnyway{{ end }}
  labelSelector: { matchLabels: { {{ include "nexusd.selector" . | replace "\n" ", " }} } }
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  labelSelector: { matchLabels: { {{ include "nexusd.selector" . | replace "\n" ", " }} } }
{{- end }}

{{- define "nexusd.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "nexusd.host" -}}
{{ printf "%s.%s.svc" .Release.Name .Release.Namespace }}
{{- end }}

{{- define "nexusd.keysSecret" -}}
{{ .Values.keys.existingSecret | default (printf "%s-keys" .Release.Name) }}
{{- end }}

{{- define "nexusd.tlsSecret" -}}
{{ .Values.tls.existingSecret | default (printf "%s-tls" .Release.Name) }}
{{- end }}

{{- define "nexusd.egressSecret" -}}
{{ .Values.egress.tlsSecret | default (printf "%s-egress-tls" .Release.Name) }}
{{- end }}

{{/* (list . component secret names): a certificate that is made once, and its authority, whose key is thrown away. */}}
{{- define "nexusd.certificate" -}}
{{- $root := index . 0 }}
{{- $secret := index . 2 }}
{{- $names := index . 3 }}
{{- $kept := (lookup "v1" "Secret" $root.Release.Namespace $secret).data }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ $secret }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "nexusd.labels" (list $root (index . 1)) | nindent 4 }}
type: kubernetes.io/tls
data:
  {{- if $kept }}
  {{- toYaml $kept | nindent 2 }}
  {{- else }}
  {{- $ca := genCA (printf "%s CA" (first $names)) 3650 }}
  {{- $leaf := genSignedCert (first $names) (list) $names 3650 $ca }}
  ca.crt: {{ $ca.Cert | b64enc }}
  tls.crt: {{ $leaf.Cert | b64enc }}
  tls.key: {{ $leaf.Key | b64enc }}
  {{- end }}
{{- end }}

{{- define "nexusd.controlled" -}}
{{ .Values.resourceController.namespaces | default (list .Release.Namespace) | toJson }}
{{- end }}

{{/* The weight: of what `helm uninstall` makes when all else is deleted. */}}
{{- define "nexusd.uninstallHook" -}}
helm.sh/hook: post-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* (list . port): the three probes. */}}
{{- define "nexusd.probes" -}}
startupProbe:
  httpGet: { path: /readyz, port: ops }
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 180
livenessProbe:
  httpGet: { path: /livez, port: ops }
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: { path: /readyz, port: ops }
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}

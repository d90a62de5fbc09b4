//go:build tools

// Package tools pins Helm: what go.mod and go.sum name is what the lab runs.
package tools

import _ "helm.sh/helm/v3/cmd/helm"

//go:build tools

// Package tools pins KWOK: what go.mod and go.sum name is what the lab runs.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"

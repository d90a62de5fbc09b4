//go:build tools

// Package tools pins the Karpenter controller for AWS: what go.mod and go.sum name is what the lab runs.
package tools

import _ "github.com/aws/karpenter-provider-aws/cmd/controller"

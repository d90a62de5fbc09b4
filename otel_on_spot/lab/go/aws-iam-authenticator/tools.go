//go:build tools

// Package tools pins aws-iam-authenticator: what go.mod and go.sum name is what the lab runs.
package tools

import _ "sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator"

//go:build tools

// Package tools pins etcd: what go.mod and go.sum name is what the lab runs.
package tools

import _ "go.etcd.io/etcd/server/v3"

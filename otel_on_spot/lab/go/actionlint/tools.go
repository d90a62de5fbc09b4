//go:build tools

// Package tools pins the linter of the project's workflows: what go.mod and go.sum name is what the tests run.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"

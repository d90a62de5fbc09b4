// Command argocd is Argo CD's own command line, whose `--core` needs no API server of Argo CD's.
// Source: https://github.com/argoproj/argo-cd/blob/v3.5.3/cmd/main.go
package main

import (
	"os"

	cli "github.com/argoproj/argo-cd/v3/cmd/argocd/commands"
)

func main() {
	command := cli.NewCommand()
	command.SilenceUsage = true
	if err := command.Execute(); err != nil {
		os.Exit(1)
	}
}

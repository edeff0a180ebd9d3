// Terraform's own formatter, as `terraform fmt -check` uses it: prints the names of those files that it would change, and fails for one that is no HCL.
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

func main() {
	for _, name := range os.Args[1:] {
		text, err := os.ReadFile(name)
		if err == nil {
			if _, wrong := hclsyntax.ParseConfig(text, name, hcl.InitialPos); wrong.HasErrors() {
				err = wrong
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if !bytes.Equal(hclwrite.Format(text), text) {
			fmt.Println(name)
		}
	}
}

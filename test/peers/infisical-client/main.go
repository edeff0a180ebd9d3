// Command infisical-client lets Infisical's own Go client carry out a list of
// steps against a server, given as one JSON text in the first argument, and
// prints what each step came to as one JSON text. It is how that client
// examines a server that it does not know.
package main

import (
	"context"
	"encoding/json"
	stderrors "errors"
	"fmt"
	"io"
	"os"

	infisical "github.com/infisical/go-sdk"
	"github.com/infisical/go-sdk/packages/errors"
	"github.com/infisical/go-sdk/packages/models"
)

type step struct {
	Call      string `json:"call"`
	Name      string `json:"name"`
	Value     string `json:"value"`
	Path      string `json:"path"`
	Version   int    `json:"version"`
	Expand    bool   `json:"expand"`
	Imports   bool   `json:"imports"`
	Recursive bool   `json:"recursive"`
	Project   string `json:"project"`
}

type plan struct {
	URL          string `json:"url"`
	Project      string `json:"project"`
	Environment  string `json:"environment"`
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
	// An access token in place of client id and secret.
	Token string `json:"token"`
	// For OIDC auth.
	Identity string `json:"identity"`
	JWT      string `json:"jwt"`
	Steps    []step `json:"steps"`
}

// result has the answer, or the status with which the server refused.
type result struct {
	Answer any    `json:"answer"`
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
}

type secret struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Version int    `json:"version"`
	Path    string `json:"path"`
}

func main() {
	var given plan
	if err := json.Unmarshal([]byte(os.Args[1]), &given); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	never := false
	client := infisical.NewInfisicalClient(context.Background(), infisical.Config{SiteUrl: given.URL, SilentMode: true, AutoTokenRefresh: &never, LogWriter: io.Discard})
	results := make([]result, 0, len(given.Steps))
	if given.Token != "" {
		client.Auth().SetAccessToken(given.Token)
	}
	for _, one := range given.Steps {
		answer, err := carryOut(client, given, one)
		results = append(results, resultOf(answer, err))
	}
	_ = json.NewEncoder(os.Stdout).Encode(results)
}

func carryOut(client infisical.InfisicalClientInterface, given plan, one step) (any, error) {
	project := given.Project
	if one.Project != "" {
		project = one.Project
	}
	path := one.Path
	if path == "" {
		path = "/"
	}
	secrets := client.Secrets()
	switch one.Call {
	case "login":
		if given.JWT != "" {
			_, err := client.Auth().OidcAuthLogin(given.Identity, given.JWT)
			return true, err
		}
		_, err := client.Auth().UniversalAuthLogin(given.ClientID, given.ClientSecret)
		return true, err
	case "create":
		made, err := secrets.Create(infisical.CreateSecretOptions{ProjectID: project, Environment: given.Environment, SecretPath: path, SecretKey: one.Name, SecretValue: one.Value})
		return shown(made), err
	case "get":
		got, err := secrets.Retrieve(infisical.RetrieveSecretOptions{ProjectID: project, Environment: given.Environment, SecretPath: path, SecretKey: one.Name, Version: one.Version, ExpandSecretReferences: one.Expand, IncludeImports: one.Imports})
		return shown(got), err
	case "list":
		all, err := secrets.ListSecrets(infisical.ListSecretsOptions{ProjectID: project, Environment: given.Environment, SecretPath: path, Recursive: one.Recursive, ExpandSecretReferences: one.Expand, IncludeImports: one.Imports})
		answers := make([]secret, 0, len(all.Secrets))
		for _, each := range all.Secrets {
			answers = append(answers, shown(each))
		}
		return answers, err
	case "update":
		changed, err := secrets.Update(infisical.UpdateSecretOptions{ProjectID: project, Environment: given.Environment, SecretPath: path, SecretKey: one.Name, NewSecretValue: one.Value})
		return shown(changed), err
	case "delete":
		_, err := secrets.Delete(infisical.DeleteSecretOptions{ProjectID: project, Environment: given.Environment, SecretPath: path, SecretKey: one.Name})
		return true, err
	case "folder":
		made, err := client.Folders().Create(infisical.CreateFolderOptions{ProjectID: project, Environment: given.Environment, Path: path, Name: one.Name})
		return made.Name, err
	case "folders":
		all, err := client.Folders().List(infisical.ListFoldersOptions{ProjectID: project, Environment: given.Environment, Path: path})
		names := make([]string, 0, len(all))
		for _, each := range all {
			names = append(names, each.Name)
		}
		return names, err
	}
	return nil, fmt.Errorf("there is no call %q", one.Call)
}

func shown(one models.Secret) secret {
	return secret{Name: one.SecretKey, Value: one.SecretValue, Version: one.Version, Path: one.SecretPath}
}

func resultOf(answer any, err error) result {
	if err == nil {
		return result{Answer: answer}
	}
	var refused *errors.APIError
	if stderrors.As(err, &refused) {
		return result{Status: refused.StatusCode}
	}
	return result{Error: err.Error()}
}

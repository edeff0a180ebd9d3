// Command conjur-client lets CyberArk's own Go client carry out a list of
// steps against a server, given as one JSON text in the first argument, and
// prints what each step came to as one JSON text. It is how that client
// examines a server that it does not know.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cyberark/conjur-api-go/conjurapi"
	"github.com/cyberark/conjur-api-go/conjurapi/authn"
	"github.com/cyberark/conjur-api-go/conjurapi/response"
)

type step struct {
	Call      string   `json:"call"`
	ID        string   `json:"id"`
	IDs       []string `json:"ids"`
	Kind      string   `json:"kind"`
	Value     string   `json:"value"`
	Version   int      `json:"version"`
	Mode      string   `json:"mode"`
	Policy    string   `json:"policy"`
	Search    string   `json:"search"`
	Limit     int      `json:"limit"`
	Offset    int      `json:"offset"`
	Privilege string   `json:"privilege"`
}

type plan struct {
	URL     string `json:"url"`
	Account string `json:"account"`
	Login   string `json:"login"`
	Key     string `json:"key"`
	// An access token in place of login and key.
	Token string `json:"token"`
	// For authn-jwt.
	JWT     string `json:"jwt"`
	Service string `json:"service"`
	Steps   []step `json:"steps"`
}

// result has the answer, or the status with which the server refused.
type result struct {
	Answer any    `json:"answer,omitempty"`
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
}

func main() {
	var given plan
	if err := json.Unmarshal([]byte(os.Args[1]), &given); err != nil {
		fail(err)
	}
	client, err := open(given)
	if err != nil {
		fail(err)
	}
	results := []result{}
	for _, each := range given.Steps {
		answer, err := do(client, given, each)
		results = append(results, outcome(answer, err))
	}
	printed, err := json.Marshal(results)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(printed))
}

func open(given plan) (*conjurapi.Client, error) {
	config := conjurapi.Config{ApplianceURL: given.URL, Account: given.Account, CredentialStorage: "none"}
	if given.Token != "" {
		return conjurapi.NewClientFromToken(config, given.Token)
	}
	if given.JWT != "" {
		config.AuthnType, config.ServiceID, config.JWTContent = "jwt", given.Service, given.JWT
		return conjurapi.NewClientFromJwt(config)
	}
	return conjurapi.NewClientFromKey(config, authn.LoginPair{Login: given.Login, APIKey: given.Key})
}

func do(client *conjurapi.Client, given plan, each step) (any, error) {
	switch each.Call {
	case "authenticate":
		token, err := client.Authenticate(authn.LoginPair{Login: given.Login, APIKey: given.Key})
		return len(token) > 0, err
	case "login":
		key, err := client.Login(given.Login, given.Key)
		return string(key), err
	case "whoami":
		body, err := client.WhoAmI()
		return text(body, err)
	case "get":
		value, err := client.RetrieveSecret(each.ID)
		return value, err
	case "get version":
		value, err := client.RetrieveSecretWithVersion(each.ID, each.Version)
		return value, err
	case "batch":
		values, err := client.RetrieveBatchSecrets(each.IDs)
		return values, err
	case "batch safe":
		values, err := client.RetrieveBatchSecretsSafe(each.IDs)
		return values, err
	case "set":
		return true, client.AddSecret(each.ID, each.Value)
	case "policy":
		mode := map[string]conjurapi.PolicyMode{"POST": conjurapi.PolicyModePost, "PATCH": conjurapi.PolicyModePatch, "PUT": conjurapi.PolicyModePut}[each.Mode]
		loaded, err := client.LoadPolicy(mode, each.ID, strings.NewReader(each.Policy))
		return loaded, err
	case "list":
		ids, err := client.ResourceIDs(&conjurapi.ResourceFilter{Kind: each.Kind, Search: each.Search, Limit: each.Limit, Offset: each.Offset})
		return ids, err
	case "count":
		count, err := client.ResourcesCount(&conjurapi.ResourceFilter{Kind: each.Kind, Search: each.Search})
		return count, err
	case "describe":
		resource, err := client.Resource(each.ID)
		return resource, err
	case "exists":
		return client.ResourceExists(each.ID)
	case "may":
		return client.CheckPermission(each.ID, each.Privilege)
	case "rotate key":
		key, err := client.RotateAPIKey(each.ID)
		return string(key), err
	}
	return nil, fmt.Errorf("there is no call %q", each.Call)
}

func text(body []byte, err error) (any, error) {
	var answer any
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	return answer, err
}

func outcome(answer any, err error) result {
	if err == nil {
		return result{Answer: answer}
	}
	var refused *response.ConjurError
	if errors.As(err, &refused) {
		return result{Status: refused.Code, Error: err.Error()}
	}
	return result{Error: err.Error()}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

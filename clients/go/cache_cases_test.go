package nexus

import (
	"encoding/json"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nexusd/nexusd/clients/go/nexusv1"
)

// caseToken is a token of test/clients/cache_cases.json, and a state with the fields of one.
type caseToken struct {
	ID       string
	Revision uint64
	Status   string
	MadeS    int64  `json:"made_s"`
	ExpiresS *int64 `json:"expires_s"`
	Granted  *[]string
}

type caseStep struct {
	Call, Of      string
	Answer, State *caseToken
	Scopes, Lacks []string
	Removed       *string
	Snapshot      *[]string
	AskedSAgo     int64 `json:"asked_s_ago"`
	PassS         int64 `json:"pass_s"`
	Live          *bool
	Refused       bool
	Find          *struct {
		Scopes  []string
		MinTTLS int64 `json:"min_ttl_s"`
	}
	Gives uint64
}

func (c *caseToken) message() *nexusv1.Token {
	token := aToken("text", c.Revision, 0)
	token.ExpiresAt = nil
	if c.ExpiresS != nil {
		token.ExpiresAt = timestamppb.New(time.Now().Add(time.Duration(*c.ExpiresS) * time.Second))
	}
	if c.Granted != nil {
		token.GrantedScopes = *c.Granted
	}
	return token
}

func (c *caseToken) state() *nexusv1.TokenState {
	id, status, made := c.ID, c.Status, max(c.MadeS, 1)
	if id == "" {
		id = "c"
	}
	token := c.message()
	if status == "" {
		status = "ACTIVE"
	} else {
		token = nil
	}
	result := state(id, c.Revision, token).GetState()
	result.Status = nexusv1.ConnectionStatus(nexusv1.ConnectionStatus_value["CONNECTION_STATUS_"+status])
	result.CreatedAt = &timestamppb.Timestamp{Seconds: made}
	return result
}

func TestTheCacheAsAllLanguagesPlayIt(t *testing.T) {
	text, err := os.ReadFile("../../test/clients/cache_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Cases []struct {
			Name  string
			Steps []caseStep
		}
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	for _, each := range table.Cases {
		t.Run(each.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playSteps(t, each.Steps) })
		})
	}
}

func playSteps(t *testing.T, steps []caseStep) {
	ada, calls := newName("github", "ada", ""), map[string]uint64{}
	c := newCache()
	c.expects(ada)
	for n, step := range steps {
		switch {
		case step.PassS > 0:
			time.Sleep(time.Duration(step.PassS) * time.Second)
		case step.Live != nil && *step.Live:
			c.complete(nil, time.Now())
		case step.Live != nil:
			c.broken()
		case step.Call != "":
			calls[step.Call] = c.reports(ada)
		case step.Answer != nil:
			reports := c.reports(ada)
			if step.Of != "" {
				reports = calls[step.Of]
			}
			c.answered(ada, TokenOf(step.Answer.message()), step.Scopes, reports)
		case step.State != nil:
			c.state(step.State.state())
		case step.Removed != nil:
			c.removed(*step.Removed)
		case step.Snapshot != nil:
			named := map[string]bool{}
			for _, id := range *step.Snapshot {
				named[id] = true
			}
			c.complete(named, time.Now().Add(-time.Duration(step.AskedSAgo)*time.Second))
		case step.Lacks != nil:
			c.lacks(ada, step.Lacks)
		case step.Refused:
			c.refused()
		default:
			var revision uint64
			if found := c.hit(&request{name: ada, scopes: step.Find.Scopes, minTTL: time.Duration(step.Find.MinTTLS) * time.Second}); found != nil {
				revision = found.Revision
			}
			if revision != step.Gives {
				t.Errorf("step %d gives revision %d, want %d", n, revision, step.Gives)
			}
		}
	}
}

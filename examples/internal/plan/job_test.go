package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
	"sigs.k8s.io/yaml"
)

// TestJob: what the Job's pods are told is what the program understands, and there
// are as many as shards.
func TestJob(t *testing.T) {
	property.Slow(t)
	text, err := os.ReadFile("../../plan/job.yaml")
	must.NoError(t, err)
	before, after, ok := strings.Cut(string(text), "\n---\napiVersion: batch")
	must.True(t, ok)
	var scenarios struct {
		Kind     string
		Metadata struct{ Name string }
		Data     map[string]string
	}
	must.NoError(t, yaml.UnmarshalStrict([]byte(before), &struct {
		APIVersion string `json:"apiVersion"`
		Kind       *string
		Metadata   *struct{ Name string }
		Data       *map[string]string
	}{Kind: &scenarios.Kind, Metadata: &scenarios.Metadata, Data: &scenarios.Data}))
	must.Eq(t, "ConfigMap", scenarios.Kind)

	var job struct {
		Kind string
		Spec struct {
			CompletionMode       string
			Completions          int
			Parallelism          int
			BackoffLimitPerIndex int
			PodFailurePolicy     struct {
				Rules []struct {
					Action          string
					OnPodConditions []struct{ Type, Status string }
					OnExitCodes     *struct {
						ContainerName string
						Values        []int
					}
				}
			}
			Template struct {
				Spec struct {
					RestartPolicy string
					Containers    []struct {
						Name string
						Args []string
						Env  []struct {
							Name      string
							ValueFrom struct{ FieldRef struct{ FieldPath string } }
						}
						VolumeMounts []struct{ Name, MountPath string }
					}
					Volumes []struct {
						Name      string
						ConfigMap struct{ Name string }
					}
				}
			}
		}
	}
	must.NoError(t, yaml.Unmarshal([]byte("apiVersion: batch"+after), &job))
	must.Eq(t, "Job", job.Kind)
	must.Eq(t, "Indexed", job.Spec.CompletionMode)
	must.Eq(t, "Never", job.Spec.Template.Spec.RestartPolicy)
	must.Len(t, 1, job.Spec.Template.Spec.Containers)
	c := job.Spec.Template.Spec.Containers[0]
	must.Eq(t, "JOB_COMPLETION_INDEX", c.Env[0].Name)
	must.Eq(t, "metadata.annotations['batch.kubernetes.io/job-completion-index']", c.Env[0].ValueFrom.FieldRef.FieldPath)
	must.Eq(t, scenarios.Metadata.Name, job.Spec.Template.Spec.Volumes[0].ConfigMap.Name)
	must.Eq(t, job.Spec.Template.Spec.Volumes[0].Name, c.VolumeMounts[0].Name)

	rules := job.Spec.PodFailurePolicy.Rules
	must.Len(t, 2, rules, must.Sprint("the first that matches counts"))
	must.Eq(t, "Ignore", rules[0].Action)
	must.Eq(t, []struct{ Type, Status string }{{"DisruptionTarget", "True"}}, rules[0].OnPodConditions)
	must.Nil(t, rules[0].OnExitCodes)
	must.Eq(t, "FailJob", rules[1].Action)
	must.Eq(t, c.Name, rules[1].OnExitCodes.ContainerName)
	must.Eq(t, []int{cli.Bad}, rules[1].OnExitCodes.Values)
	must.Positive(t, job.Spec.BackoffLimitPerIndex)

	args := strings.ReplaceAll(strings.Join(c.Args, " "), "$(JOB_COMPLETION_INDEX)", "15")
	o, err := parse(strings.Fields(args)...)
	must.NoError(t, err)
	must.Eq(t, job.Spec.Completions, o.shards)
	must.Eq(t, job.Spec.Parallelism, o.shards)
	must.Eq(t, 15, o.shard)
	must.Eq(t, c.VolumeMounts[0].MountPath, filepath.Dir(o.files[0]))
	file, ok := scenarios.Data[filepath.Base(o.files[0])]
	must.True(t, ok, must.Sprint("the ConfigMap has the file"))

	path := filepath.Join(t.TempDir(), "scenarios.yaml")
	must.NoError(t, os.WriteFile(path, []byte(file), 0o644))
	status, out, errs := do("-f", path, "-shard", "1/16")
	must.Eq(t, cli.Fine, status, must.Sprint(errs))
	must.Eq(t, 1, strings.Count(out, "\n"))
	must.StrContains(t, out, `"name":"next year"`)
}

package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
	"sigs.k8s.io/yaml"
)

// TestJob: what the Job's pods are told is what the program understands, and there
// are as many as shards.
func TestJob(t *testing.T) {
	property.Slow(t)
	text, err := os.ReadFile("../../plan/job.yaml")
	require.NoError(t, err)
	before, after, ok := strings.Cut(string(text), "\n---\napiVersion: batch")
	require.True(t, ok)
	var scenarios struct {
		Kind     string
		Metadata struct{ Name string }
		Data     map[string]string
	}
	require.NoError(t, yaml.UnmarshalStrict([]byte(before), &struct {
		APIVersion string `json:"apiVersion"`
		Kind       *string
		Metadata   *struct{ Name string }
		Data       *map[string]string
	}{Kind: &scenarios.Kind, Metadata: &scenarios.Metadata, Data: &scenarios.Data}))
	require.Equal(t, "ConfigMap", scenarios.Kind)

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
	require.NoError(t, yaml.Unmarshal([]byte("apiVersion: batch"+after), &job))
	require.Equal(t, "Job", job.Kind)
	require.Equal(t, "Indexed", job.Spec.CompletionMode)
	require.Equal(t, "Never", job.Spec.Template.Spec.RestartPolicy)
	require.Len(t, job.Spec.Template.Spec.Containers, 1)
	c := job.Spec.Template.Spec.Containers[0]
	require.Equal(t, "JOB_COMPLETION_INDEX", c.Env[0].Name)
	require.Equal(t, "metadata.annotations['batch.kubernetes.io/job-completion-index']", c.Env[0].ValueFrom.FieldRef.FieldPath)
	require.Equal(t, scenarios.Metadata.Name, job.Spec.Template.Spec.Volumes[0].ConfigMap.Name)
	require.Equal(t, job.Spec.Template.Spec.Volumes[0].Name, c.VolumeMounts[0].Name)

	rules := job.Spec.PodFailurePolicy.Rules
	require.Len(t, rules, 2, "the first that matches counts")
	require.Equal(t, "Ignore", rules[0].Action)
	require.Equal(t, []struct{ Type, Status string }{{"DisruptionTarget", "True"}}, rules[0].OnPodConditions)
	require.Nil(t, rules[0].OnExitCodes)
	require.Equal(t, "FailJob", rules[1].Action)
	require.Equal(t, c.Name, rules[1].OnExitCodes.ContainerName)
	require.Equal(t, []int{cli.Bad}, rules[1].OnExitCodes.Values)
	require.Positive(t, job.Spec.BackoffLimitPerIndex)

	args := strings.ReplaceAll(strings.Join(c.Args, " "), "$(JOB_COMPLETION_INDEX)", "15")
	o, err := parse(strings.Fields(args)...)
	require.NoError(t, err)
	require.Equal(t, job.Spec.Completions, o.shards)
	require.Equal(t, job.Spec.Parallelism, o.shards)
	require.Equal(t, 15, o.shard)
	require.Equal(t, c.VolumeMounts[0].MountPath, filepath.Dir(o.files[0]))
	file, ok := scenarios.Data[filepath.Base(o.files[0])]
	require.True(t, ok, "the ConfigMap has the file")

	path := filepath.Join(t.TempDir(), "scenarios.yaml")
	require.NoError(t, os.WriteFile(path, []byte(file), 0o644))
	status, out, errs := do("-f", path, "-shard", "1/16")
	require.Equal(t, cli.Fine, status, errs)
	require.Equal(t, 1, strings.Count(out, "\n"))
	require.Contains(t, out, `"name":"next year"`)
}

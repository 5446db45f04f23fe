package course

import (
	"encoding/json"
	"fmt"
)

// A Step of the tour in a browser: an exercise with what its command prints, or a
// question that the reader answers and then tries out. In JSON no field is left out.
type Step struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Do are the operations that bring the cluster about, as package session reads them.
	Do []json.RawMessage `json:"do"`

	Command  string   `json:"command"` // of an exercise
	Prints   string   `json:"prints"`
	Explains []Field  `json:"explains"`
	Says     []string `json:"says"` // paragraphs

	Question *Question `json:"question"` // nil in an exercise
	Try      *Try      `json:"try"`      // nil in an exercise
}

// A Question has one right answer.
type Question struct {
	Asks    string   `json:"asks"`
	Choices []string `json:"choices"`
	Answer  int      `json:"answer"` // the place of the right one
	Because string   `json:"because"`
}

// Try is what shows the answer.
type Try struct {
	Says string `json:"says"` // what to do
	Done string `json:"done"` // tells that it is done, see [Done]
	// Ops do it, for readers who would rather watch.
	Ops []json.RawMessage `json:"ops"`
}

// ids are those of the exercises in the tour.
var ids = [Steps]string{"machines", "calico", "nodes", "pool", "claims", "claims-yaml", "claims-columns"}

// Tour returns the steps: the exercises of the course's own cluster, then the
// questions.
func Tour() ([]Step, error) {
	var tour []Step
	for p, err := range Parts(Default(), 1, 2, 3, 4, 5, 6, 7) {
		if err != nil {
			return nil, fmt.Errorf("exercise %d: %w", len(tour)+1, err)
		}
		s := Step{ID: ids[p.Step-1], Title: p.Title, Do: Ops(`{"do":"setup"}`), Explains: []Field{}, Says: []string{}}
		for _, i := range p.Items {
			switch i.Kind {
			case Command:
				s.Command = i.Text
			case Prints:
				s.Prints += i.Text
			case Explains:
				s.Explains = append(s.Explains, i.Fields...)
			default:
				s.Says = append(s.Says, i.Text)
			}
		}
		tour = append(tour, s)
	}
	for _, s := range questions {
		s.Explains = []Field{}
		tour = append(tour, s)
	}
	return tour, nil
}

// Ops returns operations, each of which is an object of JSON.
func Ops(objects ...string) []json.RawMessage {
	list := make([]json.RawMessage, len(objects))
	for i, o := range objects {
		list[i] = json.RawMessage(o)
	}
	return list
}

package web

import (
	"fmt"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/examples/internal/course"
	"github.com/ipamsim/ipamsim/internal/chromium"
)

// wholeTour goes through the course from the first step to the last: it reads what is
// printed, answers what is asked, and tries what there is to try, two steps by hand and
// the others with the button that shows it.
func wholeTour(b *browser) {
	tour, err := course.Tour()
	must.NoError(b.t, err)
	b.open("#course", 1280)
	byHand := map[string]func(*browser){"full-block": fillBlock, "crash": crash}
	for i, step := range tour {
		b.Wait(fmt.Sprintf(`document.querySelector("#panel-course .course").dataset.step === %q`, step.ID))
		must.Eq(b.t, step.Title, b.Text(`document.querySelector("#panel-course .step h2").textContent`))
		must.Eq(b.t, fmt.Sprint(i), b.done(), must.Sprint(step.ID))
		switch {
		case step.Question == nil:
			must.Eq(b.t, "$ "+step.Command, b.Text(`document.querySelector("#panel-course .step .command").textContent`))
			must.Eq(b.t, step.Prints, b.Text(`document.querySelector("#panel-course .step pre").textContent`))
			must.Eq(b.t, len(step.Explains), chromium.Eval[int](b.Chromium, `document.querySelectorAll("#panel-course .terms dt").length`))
		default:
			b.answer(step)
			must.Eq(b.t, fmt.Sprint(i), b.done(), must.Sprintf("%s is not tried yet", step.ID))
			if try := byHand[step.ID]; try != nil {
				try(b)
				delete(byHand, step.ID)
			} else {
				b.Run(`document.querySelector('#panel-course [data-act="show-me"]').click()`)
			}
			b.Wait(fmt.Sprintf(`document.querySelector("#panel-course .course").dataset.done === "%d"`, i+1))
		}
		b.Run(`document.querySelector('#panel-course [data-act="next"]').click()`)
	}
	must.MapEmpty(b.t, byHand, must.Sprint(byHand))
	b.Wait(fmt.Sprintf(`document.querySelector("#panel-course .course").dataset.step === %q`, tour[0].ID))
	must.Eq(b.t, fmt.Sprint(len(tour)), b.done())
	b.silent()
}

// done is how many steps are done.
func (b *browser) done() string {
	b.t.Helper()
	return b.Text(`document.querySelector("#panel-course .course").dataset.done`)
}

// answer gives the right answer to a step's question, after none at all.
func (b *browser) answer(step course.Step) {
	b.t.Helper()
	answer := `document.querySelector('#panel-course [data-act="answer"]').click()`
	verdict := `document.querySelector("#panel-course .question [role=status]").textContent`
	b.Run(answer)
	must.Eq(b.t, "Choose an answer first.", b.Text(verdict))
	b.Run(fmt.Sprintf(`document.querySelectorAll("#panel-course .question input")[%d].checked = true`, step.Question.Answer))
	b.Run(answer)
	must.Eq(b.t, "right "+step.Question.Because, b.Text(verdict))
}

// fillBlock fills the worker's block, and adds one pod more.
func fillBlock(b *browser) {
	for _, name := range []string{"Add pods on calico-ipam-worker until its block is full", "Add a pod on calico-ipam-worker"} {
		turn := b.Text(`document.querySelector("#panel-course .nodes").dataset.turn`)
		b.Run(find("course", name) + `.click()`)
		b.Wait(fmt.Sprintf(`document.querySelector("#panel-course .nodes").dataset.turn !== %q`, turn))
	}
}

// crash lets the worker die with its claim pending, and adds a pod there.
func crash(b *browser) {
	b.Run(`document.querySelector("#panel-course select.node-of").value = "calico-ipam-worker"`)
	b.Run(`for (const row of [...document.querySelectorAll("#panel-course .client")].slice(1)) row.querySelector("button").click()`)
	b.Run(find("course", "Begin") + `.click()`)
	step := func(doing string) {
		before := b.Text(`document.querySelector("#panel-course .slow-body").textContent`)
		b.Run(fmt.Sprintf(`document.querySelector('#panel-course [data-act="%s-0"]').click()`, doing))
		b.Wait(fmt.Sprintf(`document.querySelector("#panel-course .slow-body").textContent !== %q`, before))
	}
	b.Wait(`document.querySelector('#panel-course [data-act="step-0"]')`)
	for chromium.Eval[bool](b.Chromium, `!document.querySelector("#panel-course .slow-things").textContent.includes("pending")`) {
		step("step")
	}
	step("die")
	b.Run(`document.querySelector('#panel-course [data-act="end"]').click()`)
	b.Wait(`document.querySelector("#panel-course .says-card h2")?.textContent === "What came of it"`)
	b.Run(find("course", "Add a pod on calico-ipam-worker") + `.click()`)
}

package snapshot

import (
	"bytes"
	"runtime"
	"slices"
	"sync"
)

// A crew reads the objects of one file, which costs far more than taking the file
// apart: in batches, on all processors, each worker with a loader of its own. What
// they read is put together in the order of the file, so that nothing shows how
// many there were. Small files are read by nobody else.
type crew struct {
	l     *Loader
	batch []job
	size  int // bytes of the batch
	jobs  chan []job
	parts []*Loader
	wait  sync.WaitGroup
}

// job is the text of an object that is to be read.
type job struct {
	at          place
	text        []byte
	isYAML      bool
	kind, group string // of a typed list
}

// batchSize is how many bytes of objects are read at one go.
const batchSize = 256 << 10

// submit gives the crew an object to read. The text is copied.
func (c *crew) submit(j job) {
	c.l.objects++
	j.text = bytes.Clone(j.text)
	c.batch = append(c.batch, j)
	if c.size += len(j.text); c.size >= batchSize {
		c.send()
	}
}

// send hands the batch to whoever is free.
func (c *crew) send() {
	if c.jobs == nil {
		workers := runtime.GOMAXPROCS(0)
		c.jobs = make(chan []job, workers)
		for range workers {
			part := &Loader{options: c.l.options, files: c.l.files}
			c.parts = append(c.parts, part)
			c.wait.Go(func() {
				for batch := range c.jobs {
					part.do(batch)
				}
			})
		}
	}
	c.jobs <- c.batch
	c.batch, c.size = nil, 0
}

// finish waits for what is under way, and puts everything into the loader.
func (c *crew) finish() {
	if c.jobs == nil {
		c.l.do(c.batch)
		return
	}
	c.send()
	close(c.jobs)
	c.wait.Wait()
	for _, part := range c.parts {
		c.l.merge(part)
	}
	c.l.inOrder()
}

// do reads a batch.
func (l *Loader) do(batch []job) {
	for _, j := range batch {
		text := j.text
		if j.isYAML {
			var ok bool
			if text, ok = l.parse(j.at, text); !ok {
				continue
			}
		}
		l.object(j.at, text, j.kind, j.group)
	}
}

// merge takes over what another loader has read.
func (l *Loader) merge(part *Loader) {
	l.configs = append(l.configs, part.configs...)
	l.pools = append(l.pools, part.pools...)
	l.reservations = append(l.reservations, part.reservations...)
	l.nodes = append(l.nodes, part.nodes...)
	l.blocks = append(l.blocks, part.blocks...)
	l.affinities = append(l.affinities, part.affinities...)
	l.handles = append(l.handles, part.handles...)
	l.pods = append(l.pods, part.pods...)
	l.addresses = append(l.addresses, part.addresses...)
	l.networks = append(l.networks, part.networks...)
	l.problems = append(l.problems, part.problems...)
	l.deleted += part.deleted
	l.ignored += part.ignored
	l.cluster.LastSequence = max(l.cluster.LastSequence, part.cluster.LastSequence)
	l.see(part.latest)
}

// inOrder puts what several loaders have read into the order of the files.
func (l *Loader) inOrder() {
	sortNamed(l.configs)
	sortNamed(l.pools)
	sortNamed(l.reservations)
	sortLocated(l.nodes)
	sortLocated(l.blocks)
	sortLocated(l.affinities)
	sortLocated(l.handles)
	sortLocated(l.pods)
	sortLocated(l.addresses)
	sortLocated(l.networks)
	slices.SortStableFunc(l.problems, func(x, y *Problem) int { return int(x.order) - int(y.order) })
}

func sortNamed[T any](list []named[T]) {
	slices.SortStableFunc(list, func(x, y named[T]) int { return int(x.at.order) - int(y.at.order) })
}

func sortLocated[T any](list []located[T]) {
	slices.SortStableFunc(list, func(x, y located[T]) int { return int(x.at.order) - int(y.at.order) })
}

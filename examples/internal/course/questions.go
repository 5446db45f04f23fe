package course

// worker and last are the nodes that the questions are about: the first worker, and
// the 65th node of a cluster of Kind.
const (
	worker = "calico-ipam-worker"
	last   = "calico-ipam-worker64"
)

// crowded is a cluster in which each of 64 nodes has one of the pool's 64 blocks.
const crowded = `{"do":"setup","nodes":64,"pool":"10.0.0.0/20","blockSize":26}`

// questions are the steps of the tour after the exercises.
var questions = []Step{
	{
		ID: "queue", Title: "What if: a pod goes, and a new one comes?",
		Do: Ops(`{"do":"setup"}`, `{"do":"add-pods","node":"`+worker+`","count":5}`, `{"do":"remove-pod","pod":"default/web-2"}`),
		Says: []string{
			"Five pods came to " + worker + ", web-1 to web-5, and web-2 has gone again. Its address is free, and has the lowest number of the free addresses in the block.",
		},
		Question: &Question{
			Asks: "A new pod starts on the same node. Which address does it get?",
			Choices: []string{
				"The address of web-2: it is the lowest that is free.",
				"The address after that of web-5: it has been free longest.",
				"Any of the free addresses, by chance.",
			},
			Answer:  1,
			Because: "The free addresses of a block stand in a queue. A new pod takes the first, and an address that comes back goes to the end, so that nobody mistakes the new pod for the old one.",
		},
		Try: &Try{
			Says: "Add one pod on " + worker + ", and compare its address with that of web-2.",
			Done: "replaced",
			Ops:  Ops(`{"do":"add-pods","node":"` + worker + `","count":1}`),
		},
	},
	{
		ID: "full-block", Title: "What if: a node fills its block?",
		Do: Ops(`{"do":"setup"}`),
		Says: []string{
			worker + " owns one block of 64 addresses. Four are in use: by its tunnel and three pods. So 60 more pods fill the block.",
		},
		Question: &Question{
			Asks: "Where does the next pod, the 61st, get its address from?",
			Choices: []string{
				"From a second block, which the node claims.",
				"From the block of another node: the node borrows it.",
				"From nowhere: it waits until a pod on the node goes.",
			},
			Answer:  0,
			Because: "A node claims another block as long as the pool has one left and the node owns fewer than 20. It borrows only when it can claim nothing.",
		},
		Try: &Try{
			Says: "Fill the block of " + worker + ", then add one more pod there.",
			Done: "second-block",
			Ops:  Ops(`{"do":"add-pods","node":"`+worker+`","fill":true}`, `{"do":"add-pods","node":"`+worker+`","count":1}`),
		},
	},
	{
		ID: "no-block-left", Title: "What if: no block is left for a new node?",
		Do: Ops(crowded),
		Says: []string{
			"The pool 10.0.0.0/20 has 4,096 addresses in 64 blocks of /26. There are 64 nodes, and each has claimed one. Most addresses are free.",
		},
		Question: &Question{
			Asks: "A 65th node joins, with a tunnel that needs an address, and then a pod. What do they get?",
			Choices: []string{
				"Addresses from blocks of other nodes, borrowed.",
				"A block: another node gives one up.",
				"Nothing: they wait.",
			},
			Answer:  0,
			Because: "Every block has an owner with something in it, so the node can claim none. The blocks have free addresses, though, and a node without a block may borrow them, one by one.",
		},
		Try: &Try{
			Says: "Add a node, and add a pod on " + last + ".",
			Done: "borrowed",
			Ops:  Ops(`{"do":"add-node"}`, `{"do":"add-pods","node":"`+last+`","count":1}`),
		},
	},
	{
		ID: "routes", Title: "What if: pods live on borrowed addresses?",
		Do: Ops(crowded, `{"do":"add-node"}`),
		Says: []string{
			"Every node needs to know the way to every pod. One route leads to a whole block, to the node that owns it. The 65th node owns none.",
		},
		Question: &Question{
			Asks: "Ten pods start on the 65th node, " + last + ". How many routes does that add on every other node?",
			Choices: []string{
				"None: the routes to the blocks are there already.",
				"One: to the new node.",
				"Ten: one to each pod.",
			},
			Answer:  2,
			Because: "The route of a block leads to its owner, and the pod is elsewhere. So each borrowed address needs a route of its own. In a block of the node's own, the ten pods would have cost one route in all.",
		},
		Try: &Try{
			Says: "Watch the number of routes, and add ten pods on " + last + ".",
			Done: "ten-borrowed",
			Ops:  Ops(`{"do":"add-pods","node":"` + last + `","count":10}`),
		},
	},
	{
		ID: "strict", Title: "What if: affinity becomes strict?",
		Do: Ops(crowded, `{"do":"add-node"}`, `{"do":"add-pods","node":"`+last+`","count":3}`),
		Says: []string{
			"The 65th node, " + last + ", has no block. Its tunnel and three pods live on borrowed addresses. With strict affinity a node uses its own blocks only; clusters with Windows nodes need that.",
		},
		Question: &Question{
			Asks: "You turn strict affinity on. Who gets no address from now on?",
			Choices: []string{
				"New pods on the 65th node.",
				"New pods on any node.",
				"New pods on the 65th node, and those that run there lose theirs.",
				"Nobody: the 65th node gets a block.",
			},
			Answer:  0,
			Because: "The 65th node can neither claim nor borrow. The others have free addresses in their own blocks. What was borrowed before stays until its pod goes.",
		},
		Try: &Try{
			Says: "Turn strict affinity on. Then add a pod on " + last + " and one on " + worker + ".",
			Done: "refused",
			Ops: Ops(`{"do":"configure","strict":true}`, `{"do":"add-pods","node":"`+last+`","count":1}`,
				`{"do":"add-pods","node":"`+worker+`","count":1}`),
		},
	},
	{
		ID: "drain", Title: "What if: a node is drained?",
		Do: Ops(`{"do":"setup"}`, `{"do":"add-pods","count":20}`),
		Says: []string{
			"To drain a node is to end its pods, so that they start again on other nodes. Ten of the twenty new pods run on " + worker + ".",
		},
		Question: &Question{
			Asks: "You drain " + worker + ". What becomes of the addresses of its pods?",
			Choices: []string{
				"They go with the pods to the other node.",
				"They are free again. The block stays with " + worker + ".",
				"They are free again. The block goes back to the pool, where any node can claim it.",
			},
			Answer:  1,
			Because: "An address belongs to a block, and the block to a node. On the other node the pods get new addresses, from that node's block. A drained node may come back, so it keeps its block.",
		},
		Try: &Try{
			Says: "Drain " + worker + ", and look at its block and at the pods on the other node.",
			Done: "drained",
			Ops:  Ops(`{"do":"drain","node":"` + worker + `"}`),
		},
	},
	{
		ID: "gone", Title: "What if: the drained node is removed?",
		Do: Ops(`{"do":"setup"}`, `{"do":"add-pods","count":20}`, `{"do":"drain","node":"`+worker+`"}`),
		Says: []string{
			worker + " is drained, and you delete it from the cluster for good.",
		},
		Question: &Question{
			Asks: "Who gives its block back to the pool?",
			Choices: []string{
				"The node itself, as it leaves.",
				"kube-controllers, when it next looks for nodes that are gone.",
				"Nobody: the block is lost to the pool.",
			},
			Answer:  1,
			Because: "Kubernetes deletes the node and knows nothing of blocks. Calico's kube-controllers finds what is left of the node, frees its addresses and releases its blocks. If kube-controllers does not run, they stay.",
		},
		Try: &Try{
			Says: "Remove " + worker + ". The block is still there. Then let kube-controllers look.",
			Done: "cleaned",
			Ops:  Ops(`{"do":"remove-node","node":"`+worker+`"}`, `{"do":"clean"}`),
		},
	},
	{
		ID: "crash", Title: "What if: a node dies in the middle of a claim?",
		Do: Ops(`{"do":"setup","pods":"none"}`),
		Says: []string{
			"No node has a block yet. A claim takes three writes: the claim as pending, then the block, then the claim as confirmed. Between any two of them the node may die.",
		},
		Question: &Question{
			Asks: worker + " has written its claim as pending, and dies before it makes the block. It comes back, and a pod there asks for an address. What happens?",
			Choices: []string{
				"It finds the pending claim, makes the block, and confirms the claim.",
				"It claims another block. The first claim stays pending.",
				"It is refused until somebody deletes the pending claim.",
			},
			Answer:  0,
			Because: "A node goes through its own claims first, in whatever state they are. One without a block is finished: that is why the claim is written before the block.",
		},
		Try: &Try{
			Says: "In slow motion, add a pod on " + worker + ". Step until the claim is pending, and let the node die. Then add a pod there, at full speed.",
			Done: "recovered",
			Ops: Ops(`{"do":"slow","clients":[{"do":"add-pods","node":"`+worker+`","count":1}],"schedule":["0","0","0","0","0","0","kill 0"]}`,
				`{"do":"add-pods","node":"`+worker+`","count":1}`),
		},
	},
	{
		ID: "block-size", Title: "What if: you choose the block size?",
		Do: Ops(`{"do":"setup","nodes":31,"pool":"10.0.0.0/23","blockSize":26,"pods":"none"}`),
		Says: []string{
			"The pool 10.0.0.0/23 has 512 addresses, for 30 workers with 12 pods each: 360 pods. With blocks of /26 there are 8 blocks for 30 workers, so most of them must borrow.",
		},
		Question: &Question{
			Asks: "Which are the largest blocks with which no pod lives on a borrowed address?",
			Choices: []string{
				"/26: 8 blocks of 64 addresses.",
				"/27: 16 blocks of 32 addresses.",
				"/28: 32 blocks of 16 addresses.",
				"/29: 64 blocks of 8 addresses.",
			},
			Answer:  2,
			Because: "Each worker needs a block of its own, and at /28 there are 32 for 30 of them, with room for 12 pods in each. At /29 each worker needs two, 60 of 64: that works too, but doubles the routes.",
		},
		Try: &Try{
			Says: "Begin anew with the block size that you have chosen, 31 nodes without pods and the pool 10.0.0.0/23. Then scale to 360 pods. Go on until nothing is borrowed.",
			Done: "own-blocks",
			Ops:  Ops(`{"do":"setup","nodes":31,"pool":"10.0.0.0/23","blockSize":28,"pods":"none"}`, `{"do":"scale","count":360}`),
		},
	},
}

package sim

// accounts are what a ledger knows of blocks, by number. Blocks that change at a time
// lie side by side as a rule, so neighbours are in one page, and a block costs no
// memory of its own. The zero value knows of none.
type accounts struct {
	pages map[int]*[accountsPage]account
	key   int // of the page used last
	last  *[accountsPage]account
}

const accountsPage = 16

// at returns the account of a block, which may say that there is no such block.
func (a *accounts) at(number int) *account {
	if key := number / accountsPage; a.last == nil || key != a.key {
		page := a.pages[key]
		if page == nil {
			page = new([accountsPage]account)
			if a.pages == nil {
				a.pages = make(map[int]*[accountsPage]account)
			}
			a.pages[key] = page
		}
		a.key, a.last = key, page
	}
	return &a.last[number%accountsPage]
}

// all calls do for every block that exists, in no order.
func (a *accounts) all(do func(*account)) {
	for _, page := range a.pages {
		for i := range page {
			if page[i].exists {
				do(&page[i])
			}
		}
	}
}

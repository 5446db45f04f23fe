package ipam

import (
	"fmt"
	"strconv"

	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// Config is Calico's IPAMConfig (§1). The zero value is not the
// default; [DefaultConfig] is.
type Config struct {
	// StrictAffinity limits hosts to their own blocks: no borrowing.
	StrictAffinity bool `json:"strictAffinity"`
	// AutoAllocateBlocks lets AutoAssign and EnsureBlock claim blocks.
	AutoAllocateBlocks bool `json:"autoAllocateBlocks"`
	// MaxBlocksPerHost limits the blocks of a host, 0 or more; 0 means
	// [DefaultMaxBlocksPerHost].
	MaxBlocksPerHost int `json:"maxBlocksPerHost"`
	// IPCooldownSeconds is how long a released address cools down, 0 to
	// [MaxCooldownSeconds]; 0 means no cooldown.
	IPCooldownSeconds int `json:"ipCooldownSeconds"`
	// KubeVirtVMAddressPersistence is "Enabled" or "Disabled": whether Calico's CNI
	// plug-in keeps the address of a virtual machine that restarts or moves. Empty is
	// Calico's default. It decides which handles the plug-in asks with, and nothing
	// that an allocator does.
	KubeVirtVMAddressPersistence string `json:"kubeVirtVMAddressPersistence,omitempty"`
}

const (
	// DefaultMaxBlocksPerHost is the limit that MaxBlocksPerHost 0 stands for.
	DefaultMaxBlocksPerHost = 20
	// MaxCooldownSeconds is the longest cooldown.
	MaxCooldownSeconds = 1200
)

// DefaultConfig returns the configuration of a cluster that has none.
func DefaultConfig() Config { return Config{AutoAllocateBlocks: true} }

// Validate refuses a field that is out of range, with an error that matches
// [codes.InvalidArgument]. It does not look at the combination: see
// [Allocator.SetIPAMConfig].
func (c Config) Validate() error {
	if c.MaxBlocksPerHost < 0 {
		return invalid("maxBlocksPerHost", strconv.Itoa(c.MaxBlocksPerHost), "must not be negative")
	}
	if c.IPCooldownSeconds < 0 || c.IPCooldownSeconds > MaxCooldownSeconds {
		return invalid("ipCooldownSeconds", strconv.Itoa(c.IPCooldownSeconds), fmt.Sprintf("must be 0 to %d", MaxCooldownSeconds))
	}
	switch c.KubeVirtVMAddressPersistence {
	case "", "Enabled", "Disabled":
		return nil
	}
	return invalid("kubeVirtVMAddressPersistence", c.KubeVirtVMAddressPersistence, "must be Enabled, Disabled or empty")
}

// GetIPAMConfig returns the configuration in force.
func (a *Allocator) GetIPAMConfig() Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config
}

// SetIPAMConfig replaces the configuration. It refuses, with
// [codes.ConfigConflict], one that is neither strict nor auto-allocating, and one
// that limits blocks without being strict (§9); values out of range
// match [codes.InvalidArgument].
func (a *Allocator) SetIPAMConfig(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if !c.StrictAffinity && !c.AutoAllocateBlocks {
		return &Error{Code: codes.ConfigConflict, Detail: "autoAllocateBlocks false needs strictAffinity true"}
	}
	if c.MaxBlocksPerHost > 0 && !c.StrictAffinity {
		return &Error{Code: codes.ConfigConflict, Detail: fmt.Sprintf("maxBlocksPerHost %d needs strictAffinity true", c.MaxBlocksPerHost)}
	}
	return a.PutIPAMConfig(c)
}

// PutIPAMConfig writes the configuration as a raw edit of the datastore does: it
// accepts combinations that [Allocator.SetIPAMConfig] refuses. Values out of range
// still match [codes.InvalidArgument].
func (a *Allocator) PutIPAMConfig(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.IPCooldownSeconds > 0 {
		if err := a.needs("ipCooldownSeconds", strconv.Itoa(c.IPCooldownSeconds), func(r *calico.Rules) *bool { return &r.Cooldown }); err != nil {
			return err
		}
	}
	a.config = c
	return nil
}

// Pools returns the pools, disabled ones too, in name order. The slice is the
// caller's.
func (a *Allocator) Pools() []pool.Spec {
	a.mu.Lock()
	defer a.mu.Unlock()
	specs := make([]pool.Spec, 0, len(a.pools.All()))
	for _, p := range a.pools.All() {
		specs = append(specs, p.Spec())
	}
	return specs
}

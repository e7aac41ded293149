//! Sources: one module and one feature per system.

//! The laws of deliveries.

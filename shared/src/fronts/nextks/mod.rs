//! `NextKS`: problems, and the status of a request, which is also the callback body of its profile.

mod problem;
mod view;

pub use problem::NextKsProblem;
pub use view::NextKsView;

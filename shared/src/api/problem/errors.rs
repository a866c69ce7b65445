//! The errors of one call: the first of them, and the number of all.

use super::FieldError;

/// Most errors that one problem lists. A body of 256 KiB has room for tens of thousands.
const ERRORS_MAX: usize = 100;

/// Errors in the order in which they were found. Only the first 100 are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors {
    first: Vec<FieldError>,
    n_found: usize,
}

impl FieldErrors {
    /// Adds an error. `error` is called only if it is kept, because a pointer may be long.
    pub fn add(&mut self, error: impl FnOnce() -> FieldError) {
        self.n_found += 1;
        if self.first.len() < ERRORS_MAX {
            self.first.push(error());
        }
    }

    /// The number of errors that were found.
    pub fn len(&self) -> usize {
        self.n_found
    }

    /// No error was found.
    pub fn is_empty(&self) -> bool {
        self.n_found == 0
    }

    /// Errors were found that are not kept.
    pub fn are_truncated(&self) -> bool {
        self.n_found > self.first.len()
    }

    /// The errors that are kept.
    pub fn as_slice(&self) -> &[FieldError] {
        &self.first
    }

    /// The errors that are kept, to change them.
    pub(super) fn as_mut_slice(&mut self) -> &mut [FieldError] {
        &mut self.first
    }

    /// Adds the errors of `other`, each changed by `change`. An error that is kept already is not
    /// added again.
    pub fn merge(&mut self, other: &Self, change: impl Fn(&FieldError) -> FieldError) {
        let n_dropped = other.n_found - other.first.len();
        for error in other.as_slice() {
            let error = change(error);
            if !self.first.contains(&error) {
                self.add(|| error);
            }
        }
        self.n_found += n_dropped;
    }
}

impl From<Vec<FieldError>> for FieldErrors {
    fn from(errors: Vec<FieldError>) -> Self {
        errors.into_iter().collect()
    }
}

impl FromIterator<FieldError> for FieldErrors {
    fn from_iter<T: IntoIterator<Item = FieldError>>(errors: T) -> Self {
        let mut all = Self::default();
        for error in errors {
            all.add(|| error);
        }
        all
    }
}

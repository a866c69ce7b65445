//! Items that say by which version of their spelling they were written.

use super::*;

/// A key as some later version spells it.
struct Later(ApiKey);

impl Item for Later {
    const NAME: &'static str = "a later key";
    const VERSION: u32 = 2;

    fn key(&self) -> Key {
        self.0.key()
    }

    fn revision(&self) -> u64 {
        self.0.revision()
    }

    fn immutable(&self, layout: &Layout) -> Encoded {
        self.0.immutable(layout)
    }

    fn mutable(&self, layout: &Layout) -> Encoded {
        self.0.mutable(layout)
    }

    fn read(item: Reader) -> Result<Self, DecodeError> {
        ApiKey::read(item).map(Self)
    }
}

/// Whether this version says that it is not its own.
fn is_newer(attributes: Attributes) -> bool {
    matches!(read::<ApiKey>(attributes), Err(Error::Newer { .. }))
}

proptest! {
    #[test]
    fn what_a_newer_version_wrote_is_not_read_and_what_an_older_one_wrote_is(
        key in values::api_key(),
    ) {
        let (first, later) = (created(&key), created(&Later(key.clone())));
        prop_assert!(!first.contains_key("v"), "the first version says nothing");
        prop_assert!(is_newer(later.clone()));
        prop_assert_eq!(read::<Later>(later).expect("it is its own").0, key.clone());
        prop_assert_eq!(read::<Later>(first.clone()).expect("it is older").0, key.clone());

        // Once a newer version has written, it is a newer version's.
        let taken_on = saved(first, &Later(key));
        prop_assert!(is_newer(taken_on));
    }
}

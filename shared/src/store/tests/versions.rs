//! Items with a version of their encoding.

use super::*;

/// An API key in the encoding of a later version.
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

/// This version recognizes that a newer version wrote the item.
fn is_newer(attributes: Attributes) -> bool {
    matches!(read::<ApiKey>(attributes), Err(Error::Newer { .. }))
}

proptest! {
    #[test]
    fn items_of_older_versions_are_read_and_of_newer_ones_not(
        key in values::api_key(),
    ) {
        let (first, later) = (created(&key), created(&Later(key.clone())));
        prop_assert!(!first.contains_key("v"), "version 1 is not stored");
        prop_assert!(is_newer(later.clone()));
        prop_assert_eq!(read::<Later>(later).expect("it is readable").0, key.clone());
        prop_assert_eq!(read::<Later>(first.clone()).expect("it is readable").0, key.clone());

        // After a newer version has written the item, only that version can read it.
        let upgraded = saved(first, &Later(key));
        prop_assert!(is_newer(upgraded));
    }
}

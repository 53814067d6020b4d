use super::*;

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn key(seed: u8) -> PublicKey {
    identity(seed).public_key()
}

fn server() -> Fingerprint {
    Fingerprint::of_spki(b"server")
}

fn bob() -> Username {
    "bob".parse().unwrap()
}

fn name(text: &str) -> DeviceName {
    text.parse().unwrap()
}

/// Returns the list of a device alone.
fn list_of(seed: u8) -> DeviceList {
    let entry = DeviceEntry::first(&identity(seed), (&server(), &bob()), name("laptop"), 7);
    DeviceList::after(None, (&server(), &bob()), &entry).unwrap()
}

/// Returns a change that adds a device, with its consent to this chain.
fn addition(chain: [u8; 32], seed: u8) -> Change {
    let name = name("phone");
    let statement =
        ConsentStatement { server: &server(), account: &bob(), chain: &chain, name: &name };
    let consent = identity(seed).sign(&statement);
    Change::Add { name, consent }
}

fn sign(list: &DeviceList, signer: u8, device: u8, change: Change) -> DeviceEntry {
    DeviceEntry::sign(&identity(signer), (&server(), &bob()), Some(list), key(device), change)
}

fn after(list: &DeviceList, entry: &DeviceEntry) -> Result<DeviceList, ListError> {
    DeviceList::after(Some(list), (&server(), &bob()), entry)
}

fn with(list: &DeviceList, signer: u8, device: u8) -> DeviceList {
    after(list, &sign(list, signer, device, addition(list.chain(), device))).unwrap()
}

#[test]
fn listed_device_adds_and_removes_others() {
    let one = list_of(1);
    assert_eq!((one.number(), one.contains(&key(1))), (1, true));
    let two = with(&one, 1, 2);
    let three = after(&two, &sign(&two, 2, 1, Change::Remove)).unwrap();
    let keys: Vec<PublicKey> = three.devices().iter().map(|device| device.key).collect();
    assert_eq!((three.number(), keys), (3, vec![key(2)]));
    assert_eq!(three.hash_of(2), Some(two.hash()));
    assert_eq!(three.reference(), DeviceListRef { number: 3, hash: three.hash() });
    assert_eq!(three.hash_of(0), None);
    assert_eq!(three.hash_of(4), None);
}

#[test]
fn unlisted_device_signs_no_list() {
    let (one, server, bob) = (list_of(1), server(), bob());
    let own = sign(&one, 3, 3, addition(one.chain(), 3));
    assert_eq!(after(&one, &own), Err(ListError::NotSigned));
    let mut first = DeviceEntry::first(&identity(3), (&server, &bob), name("x"), 7);
    first.device = key(4);
    assert_eq!(DeviceList::after(None, (&server, &bob), &first), Err(ListError::NotSigned));
    let removal = DeviceEntry::sign(&identity(3), (&server, &bob), None, key(3), Change::Remove);
    assert_eq!(DeviceList::after(None, (&server, &bob), &removal), Err(ListError::NotSigned));
}

#[test]
fn removed_device_signs_nothing_more() {
    let two = with(&list_of(1), 1, 2);
    let late = sign(&two, 2, 3, addition(two.chain(), 3));
    let three = after(&two, &sign(&two, 1, 2, Change::Remove)).unwrap();
    assert_eq!(after(&three, &late), Err(ListError::NotSigned));
    let again = sign(&three, 2, 3, addition(three.chain(), 3));
    assert_eq!(after(&three, &again), Err(ListError::NotSigned));
}

#[test]
fn entry_is_good_for_one_place_account_and_server() {
    let one = list_of(1);
    let entry = sign(&one, 1, 2, addition(one.chain(), 2));
    let other = Fingerprint::of_spki(b"other");
    let (server, bob, carol) = (server(), bob(), "carol".parse().unwrap());
    for (server, account) in [(&other, &bob), (&server, &carol)] {
        let result = DeviceList::after(Some(&one), (server, account), &entry);
        assert_eq!(result, Err(ListError::NotSigned));
    }
    let two = after(&one, &entry).unwrap();
    assert_eq!(after(&two, &entry), Err(ListError::NotSigned), "an old approval");
    assert_eq!(after(&list_of(3), &entry), Err(ListError::NotSigned), "another chain");
}

#[test]
fn device_is_added_with_its_consent_to_this_chain() {
    let (one, elsewhere) = (list_of(1), list_of(3));
    for change in [addition(elsewhere.chain(), 2), addition(one.chain(), 4)] {
        let entry = sign(&one, 1, 2, change);
        assert_eq!(after(&one, &entry), Err(ListError::NoConsent));
    }
}

#[test]
fn change_that_does_not_fit_is_refused() {
    let one = list_of(1);
    let last = sign(&one, 1, 1, Change::Remove);
    assert_eq!(after(&one, &last), Err(ListError::Inapplicable));
    let absent = sign(&one, 1, 2, Change::Remove);
    assert_eq!(after(&one, &absent), Err(ListError::Inapplicable));
    let again = sign(&one, 1, 1, addition(one.chain(), 1));
    assert_eq!(after(&one, &again), Err(ListError::Inapplicable));
}

#[test]
fn list_has_a_limit() {
    let mut list = list_of(1);
    for device in 2..=MAX_DEVICES as u8 {
        list = with(&list, 1, device);
    }
    let entry = sign(&list, 1, 99, addition(list.chain(), 99));
    assert_eq!(after(&list, &entry), Err(ListError::Full));
}

#[test]
fn entry_survives_its_text() {
    let one = list_of(1);
    for change in [addition(one.chain(), 2), Change::Remove] {
        let entry = sign(&one, 1, 2, change);
        let text = entry.to_string();
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!(DeviceEntry::from_words(&words), Some(entry));
        assert_eq!(DeviceEntry::from_words(&words[1..]), None);
    }
}

#[test]
fn name_resembles_that_of_the_host() {
    assert_eq!(DeviceName::like("Anna's laptop").as_str(), "Anna-s-laptop");
    assert_eq!(DeviceName::like("").as_str(), "device");
    assert_eq!(DeviceName::like(&"x".repeat(99)).as_str().len(), MAX_NAME_CHARS);
    for wrong in ["", "a b", "a\n", "é", &"x".repeat(33)] {
        assert_eq!(wrong.parse::<DeviceName>(), Err(NotADeviceName), "{wrong}");
    }
}

#[test]
fn code_is_read_as_people_type_it() {
    let code = DeviceCode::of(&server(), &bob(), &key(1));
    let text = code.to_string();
    assert_eq!(text.len(), 19);
    assert_eq!(text.parse(), Ok(code));
    assert_eq!(text.to_lowercase().replace('-', " ").parse(), Ok(code));
    assert_eq!("ABCD".parse::<DeviceCode>(), Err(NotACode));
    assert_eq!("".parse::<DeviceCode>(), Err(NotACode));
    assert_ne!(DeviceCode::of(&server(), &bob(), &key(2)), code);
}

#[test]
fn device_that_begins_again_begins_another_chain() {
    let (server, bob, laptop) = (server(), bob(), name("laptop"));
    let begin = |nonce| {
        let entry = DeviceEntry::first(&identity(1), (&server, &bob), laptop.clone(), nonce);
        DeviceList::after(None, (&server, &bob), &entry).unwrap()
    };
    assert_ne!(begin(1).chain(), begin(2).chain());
    // It continues no chain.
    let again = DeviceEntry::first(&identity(1), (&server, &bob), laptop.clone(), 2);
    let after = DeviceList::after(Some(&begin(1)), (&server, &bob), &again);
    assert_eq!(after, Err(ListError::NotSigned));
}

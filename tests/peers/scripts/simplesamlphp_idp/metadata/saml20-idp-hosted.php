<?php

// The identity provider itself: it takes signed requests alone, signs Response and assertion, and encrypts the assertion where it is told to.

$identityProvider = json_decode(file_get_contents(getenv('IDENTITY_PROVIDER_FILE')), true, 512, JSON_THROW_ON_ERROR);

$metadata[$identityProvider['entity_id']] = [
    'host' => '__DEFAULT__',
    'auth' => 'people',
    'privatekey' => $identityProvider['key'],
    'certificate' => $identityProvider['certificate'],
    'scope' => $identityProvider['scopes'],
    'redirect.validate' => true,
    'saml20.sign.response' => true,
    'saml20.sign.assertion' => true,
    'assertion.encryption' => $identityProvider['encrypts'],
    'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri',
    'NameIDFormat' => [
        'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
        'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
    ],
    'authproc' => [
        10 => ['class' => 'saml:PersistentNameID', 'attribute' => 'eduPersonPrincipalName', 'NameQualifier' => true],
        11 => ['class' => 'saml:TransientNameID'],
        90 => ['class' => 'core:AttributeMap', 'name2oid'],
    ],
];

<?php

// To be merged into the service provider's entry in config/authsources.php.
// The authority is asked with the ePPN of the login; the value travels as a NameID without qualifiers.

return [
    'authproc' => [
        60 => [
            'class' => 'attributeaggregator:attributeaggregator',
            'entityId' => 'https://aa.example.org/orcid',
            'attributeId' => 'urn:oid:1.3.6.1.4.1.5923.1.1.1.6',
            'nameIdFormat' => 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
            'attributeNameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri',
            'attributes' => [
                'urn:oid:1.3.6.1.4.1.5923.1.1.1.16' => ['multiSource' => 'override'],
            ],
        ],
    ],
];

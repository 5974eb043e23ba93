<?php

// The config.php of a SimpleSAMLphp that is an identity provider. IDENTITY_PROVIDER_FILE names the JSON file that the driver wrote.

$identityProvider = json_decode(file_get_contents(getenv('IDENTITY_PROVIDER_FILE')), true, 512, JSON_THROW_ON_ERROR);
$directory = $identityProvider['directory'];

$config = [
    'baseurlpath' => $identityProvider['base_url'] . '/',
    'certdir' => $directory . '/',
    'datadir' => $directory . '/',
    'tempdir' => $directory,
    'metadatadir' => __DIR__ . '/metadata/',
    'attributenamemapdir' => '/etc/simplesamlphp/attributemap/',
    'loggingdir' => $directory . '/',
    'logging.handler' => 'file',
    'logging.logfile' => 'simplesamlphp.log',
    'logging.level' => 6,
    'secretsalt' => 'a-salt-of-the-test',
    'timezone' => 'UTC',
    'enable.saml20-idp' => true,
    'module.enable' => ['core' => true, 'saml' => true, 'exampleauth' => true],
    'store.type' => 'phpsession',
    'session.phpsession.savepath' => $directory,
    'session.cookie.secure' => false,
    'session.cookie.samesite' => null,
    'language.cookie.secure' => false,
    'language.cookie.samesite' => null,
    'metadata.sources' => [
        ['type' => 'flatfile'],
        ['type' => 'xml', 'file' => $identityProvider['service_providers']],
    ],
];

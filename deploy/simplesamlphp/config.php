<?php

// To be merged into $config of config/config.php: the authority's metadata beside what is loaded already.
// The path is absolute: a relative one would begin at the installation, where Debian has no metadata.
// Leave it out where the federation's metadata, in a set that has attribute authorities in it, is loaded as XML.

return [
    'metadata.sources' => [
        ['type' => 'flatfile'],
        ['type' => 'xml', 'file' => '/etc/simplesamlphp/metadata/orcid-authority.xml'],
    ],
];
